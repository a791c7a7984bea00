// A build without Redis: sessions live in the process only.
#include "base/error.h"
#include "service/store/shared_store.h"

namespace popcorn::service {

SharedStore open_shared_store(const SharedStoreOptions& options, SessionRestorer) {
  throw UsageError("store.unsupported",
                   "This program was built without Redis and cannot use the session store " + options.url +
                       "; build it with POPCORN_REDIS=ON");
}

}  // namespace popcorn::service
