// Whom an address stands for, where limits are counted by address.
#pragma once

#include <string>

namespace popcorn::service {

/// The address itself for IPv4 (also where it is written as IPv6); its first 64 bits for IPv6, since whoever
/// has one such address has them all. Anything else as it is.
std::string address_group(const std::string& address);

}  // namespace popcorn::service
