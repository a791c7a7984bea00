// SHA-256 of data that comes in pieces.
#pragma once

#include "base/sha256.h"

struct evp_md_ctx_st;

namespace popcorn {

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void update(ByteView piece);
  /// Of all pieces. Once; nothing may follow.
  Sha256 digest();

 private:
  evp_md_ctx_st* state_;
};

}  // namespace popcorn
