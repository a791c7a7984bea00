#include "service/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace popcorn::service {

std::string address_group(const std::string& address) {
  in6_addr bits{};
  if (::inet_pton(AF_INET6, address.c_str(), &bits) != 1) {
    return address;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&bits)) {
    constexpr std::size_t kV4Offset = 12;
    ::inet_ntop(AF_INET, &bits.s6_addr[kV4Offset], text.data(), text.size());
    return text.data();
  }
  std::fill(std::begin(bits.s6_addr) + 8, std::end(bits.s6_addr), std::uint8_t{0});
  ::inet_ntop(AF_INET6, &bits, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

}  // namespace popcorn::service
