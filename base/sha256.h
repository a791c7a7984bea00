// SHA-256 (FIPS 180-4) by OpenSSL.
#pragma once

#include <array>

#include "base/bytes.h"

namespace popcorn {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(ByteView data);

}  // namespace popcorn
