// The `.popcorn` file: one safetensors container (8-byte little-endian header length, JSON header, raw
// tensors) with the graph as JSON under `__metadata__`, so any safetensors reader can open it. Versioned,
// bit-reproducible.
#pragma once

#include <filesystem>

#include "models/network/integer_network.h"

namespace popcorn::models {

/// Same network, same bytes.
Bytes serialise_network(const IntegerNetwork& network);
/// @throws InputError "model.*": bad lengths, overlapping or unaligned ranges, cycles, unknown nodes, shape
/// mismatches, future versions; names the node. Never crashes on garbage.
IntegerNetwork parse_network(ByteView file);

/// @throws IoError, InputError (both name the path)
IntegerNetwork read_network(const std::filesystem::path& path);
void write_network(const IntegerNetwork& network, const std::filesystem::path& path);

}  // namespace popcorn::models
