// The server's half of an inference on shares.
#pragma once

#include "protocols/shares/shares_engine.h"

namespace popcorn::protocols::shares {

/// @throws InputError "model.too_wide"
std::unique_ptr<ServerEngine> make_shares_server(const ServerParts& parts, const SharesNetwork& network,
                                                 ShareRounding rounding);

}  // namespace popcorn::protocols::shares
