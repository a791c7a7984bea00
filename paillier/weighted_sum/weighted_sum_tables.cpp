#include "paillier/weighted_sum/weighted_sum_tables.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "paillier/kernels/kernel.h"

namespace popcorn::paillier {

namespace {

using Bits = std::vector<std::uint64_t>;

constexpr std::size_t kWordBits = 64;

void set_bit(Bits& bits, std::size_t at) {
  bits[at / kWordBits] |= std::uint64_t{1} << (at % kWordBits);
}

bool has_bit(const Bits& bits, std::size_t at) {
  return (bits[at / kWordBits] >> (at % kWordBits) & 1) != 0;
}

void unite(Bits& bits, const Bits& others) {
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= others[i];
}

void intersect(Bits& bits, const Bits& others) {
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] &= others[i];
}

std::uint64_t count_bits(const Bits& bits) {
  return std::accumulate(bits.begin(), bits.end(), std::uint64_t{0},
                         [](std::uint64_t sum, std::uint64_t word) {
                           return sum + static_cast<std::uint64_t>(std::popcount(word));
                         });
}

/// Equal sets of locations are kept once.
class DomainList {
 public:
  DomainList(std::vector<SharedTables::Domain>& domains, std::size_t locations)
      : domains_(domains), locations_(locations) {}

  std::uint32_t number(const Bits& bits) {
    const auto [at, is_new] = known_.try_emplace(bits, static_cast<std::uint32_t>(domains_.size()));
    if (is_new) {
      SharedTables::Domain& domain = domains_.emplace_back();
      domain.rank.assign(locations_, LinearMap::kPadding);
      for (std::uint32_t location = 0; location < locations_; ++location) {
        if (!has_bit(bits, location)) continue;
        domain.rank[location] = static_cast<std::uint32_t>(domain.locations.size());
        domain.locations.push_back(location);
      }
    }
    return at->second;
  }

 private:
  std::vector<SharedTables::Domain>& domains_;
  std::size_t locations_;
  std::map<Bits, std::uint32_t> known_;
};

}  // namespace

CellGrid CellGrid::of_taps(const LinearMap& map) {
  CellGrid grid;
  grid.cells = map.taps;
  grid.locations = map.positions;
  grid.cell.resize(map.taps);
  std::iota(grid.cell.begin(), grid.cell.end(), 0U);
  grid.displacement.assign(map.taps, 0);
  grid.location.resize(map.positions);
  std::iota(grid.location.begin(), grid.location.end(), 0U);
  return grid;
}

std::optional<CellGrid> CellGrid::of_planes(const LinearMap& map) {
  CellGrid grid;
  grid.by_position = false;
  grid.cells = map.inputs / map.plane;
  grid.locations = map.plane;
  std::map<std::vector<std::uint32_t>, std::uint16_t> known;
  std::vector<std::uint32_t> locations(map.positions);
  for (std::size_t tap = 0; tap < map.taps; ++tap) {
    std::uint32_t cell = LinearMap::kPadding;
    for (std::size_t position = 0; position < map.positions; ++position) {
      const std::uint32_t input = map.input_index[tap * map.positions + position];
      locations[position] = input;
      if (input == LinearMap::kPadding) continue;
      const auto plane = static_cast<std::uint32_t>(input / map.plane);
      if (cell != LinearMap::kPadding && plane != cell) return std::nullopt;
      cell = plane;
      locations[position] = static_cast<std::uint32_t>(input % map.plane);
    }
    grid.cell.push_back(cell == LinearMap::kPadding ? 0 : cell);
    const auto [at, is_new] = known.try_emplace(locations, static_cast<std::uint16_t>(known.size()));
    if (is_new) grid.location.insert(grid.location.end(), locations.begin(), locations.end());
    if (known.size() > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
    grid.displacement.push_back(at->second);
  }
  grid.displacements = known.size();
  return grid;
}

TableBuilder::TableBuilder(const LinearMap& map, const CellGrid& grid, std::size_t block_cells)
    : map_(map), grid_(grid), tap_at_(grid.cells * grid.displacements, kNone) {
  const std::size_t blocks = (grid.cells + block_cells - 1) / block_cells;
  for (std::size_t cell = 0; cell < grid.cells; ++cell) {
    block_.push_back(static_cast<std::uint32_t>(cell * blocks / grid.cells));
  }
  for (std::uint32_t tap = 0; tap < map.taps; ++tap) {
    tap_at_[grid.cell[tap] * grid.displacements + grid.displacement[tap]] = tap;
  }
}

std::uint32_t TableBuilder::child(std::uint32_t parent, std::uint32_t factor) {
  const std::uint64_t key = std::uint64_t{parent} << 32 | factor;
  const auto [at, is_new] = children_.try_emplace(key, static_cast<std::uint32_t>(nodes_.size()));
  if (is_new) {
    nodes_.push_back({parent, factor, parent == kNone ? 1 : nodes_[parent].length + 1, 0, kNone});
  }
  return at->second;
}

void TableBuilder::collect(const RowDigits& digits) {
  struct Digit {
    std::uint64_t magnitude;
    std::uint32_t displacement, block, factor;
    auto pattern() const { return std::tuple(magnitude, displacement, block); }
  };
  Row& row = rows_.emplace_back();
  row.others.resize(digits.size());
  std::vector<Digit> inputs;
  for (std::uint32_t place = 0; place < digits.size(); ++place) {
    inputs.clear();
    for (const Term& term : digits[place]) {
      if (term.source != TermSource::input && term.source != TermSource::inverse) {
        row.others[place].push_back(term);
        continue;
      }
      const std::uint32_t cell = grid_.cell[term.index];
      inputs.push_back({term.magnitude, grid_.displacement[term.index], block_[cell],
                        2 * cell + (term.source == TermSource::inverse ? 1 : 0)});
    }
    std::ranges::sort(inputs, [](const Digit& a, const Digit& b) {
      return std::tuple(a.pattern(), a.factor) < std::tuple(b.pattern(), b.factor);
    });
    for (std::size_t i = 0; i < inputs.size();) {
      const Digit& head = inputs[i];
      std::uint32_t node = kNone;
      for (; i < inputs.size() && inputs[i].pattern() == head.pattern(); ++i) {
        node = child(node, inputs[i].factor);
        ++nodes_[node].uses;
      }
      row.uses.push_back({place, node, head.magnitude, static_cast<std::uint16_t>(head.displacement)});
    }
  }
}

std::uint32_t TableBuilder::longest_combination(std::uint32_t leaf) const {
  while (leaf != kNone && !is_combination(nodes_[leaf])) leaf = nodes_[leaf].parent;
  return leaf;
}

std::vector<TableBuilder::Bits> TableBuilder::present_locations() const {
  std::vector<Bits> present(grid_.cells, Bits((grid_.locations + kWordBits - 1) / kWordBits));
  for (std::size_t cell = 0; cell < grid_.cells; ++cell) {
    for (std::size_t location = 0; location < grid_.locations; ++location) {
      const bool padding =
          grid_.by_position && map_.input_index[cell * map_.positions + location] == LinearMap::kPadding;
      if (!padding) set_bit(present[cell], location);
    }
  }
  return present;
}

/// For each combination the locations at which a row or a longer combination reads it.
std::vector<TableBuilder::Bits> TableBuilder::needed_locations() const {
  std::vector<Bits> reached(grid_.displacements, Bits((grid_.locations + kWordBits - 1) / kWordBits));
  for (std::size_t displacement = 0; displacement < grid_.displacements; ++displacement) {
    for (std::size_t position = 0; position < map_.positions; ++position) {
      const std::uint32_t location = grid_.location[displacement * map_.positions + position];
      if (location != LinearMap::kPadding) set_bit(reached[displacement], location);
    }
  }
  std::vector<Bits> needed(nodes_.size());
  const auto need = [&](std::uint32_t node, const Bits& bits) {
    if (needed[node].empty()) {
      needed[node] = bits;
    } else {
      unite(needed[node], bits);
    }
  };
  for (const Row& row : rows_) {
    for (const Use& use : row.uses) {
      const std::uint32_t node = longest_combination(use.leaf);
      if (node != kNone) need(node, reached[use.displacement]);
    }
  }
  // A node's number is larger than its parent's.
  for (auto node = static_cast<std::uint32_t>(nodes_.size()); node-- > 0;) {
    const std::uint32_t parent = nodes_[node].parent;
    if (is_combination(nodes_[node]) && nodes_[parent].length >= 2) need(parent, needed[node]);
  }
  return needed;
}

std::optional<SharedTables> TableBuilder::choose(std::size_t most_entries) {
  std::vector<Bits> needed = needed_locations();
  const std::vector<Bits> present = present_locations();
  std::vector<Bits> present_in(nodes_.size());  // of combinations: where some factor is inside the image
  std::vector<std::uint32_t> chosen;
  std::size_t entries = 0;
  multiplications_ = 0;
  for (std::uint32_t number = 0; number < nodes_.size(); ++number) {
    const Node& node = nodes_[number];
    if (!is_combination(node)) continue;
    const Node& parent = nodes_[node.parent];
    const Bits& left = parent.length == 1 ? present[parent.factor / 2] : present_in[node.parent];
    const Bits& right = present[node.factor / 2];
    present_in[number] = left;
    unite(present_in[number], right);
    intersect(needed[number], present_in[number]);
    Bits both = needed[number];
    intersect(both, left);
    intersect(both, right);
    multiplications_ += count_bits(both);
    entries += count_bits(needed[number]);
    if (entries > most_entries) return std::nullopt;
    chosen.push_back(number);
  }
  std::ranges::stable_sort(
      chosen, [&](std::uint32_t a, std::uint32_t b) { return nodes_[a].length < nodes_[b].length; });

  SharedTables tables;
  tables.by_position = grid_.by_position;
  tables.locations = grid_.locations;
  tables.location = grid_.location;
  DomainList domains(tables.domains, grid_.locations);
  for (const std::uint32_t number : chosen) {
    Node& node = nodes_[number];
    const Node& parent = nodes_[node.parent];
    const auto factor = [](std::uint32_t code) { return SharedTables::Factor{code / 2, code % 2 != 0}; };
    node.combination = static_cast<std::uint32_t>(tables.combinations.size());
    const std::uint32_t domain = domains.number(needed[number]);
    if (tables.length_end.size() < node.length - 1) {  // lengths share no group of lanes
      tables.entries = (tables.entries + kernels::kMaxLanes - 1) / kernels::kMaxLanes * kernels::kMaxLanes;
    }
    tables.combinations.push_back({parent.length == 1 ? SharedTables::kNoParent : parent.combination,
                                   factor(parent.factor), factor(node.factor), domain, tables.entries});
    tables.entries += static_cast<std::uint32_t>(tables.domains[domain].locations.size());
    tables.length_end.resize(node.length - 1);
    tables.length_end.back() = static_cast<std::uint32_t>(tables.combinations.size());
  }
  return tables;
}

RowDigits TableBuilder::replace(std::size_t number) const {
  RowDigits digits = rows_[number].others;
  for (const Use& use : rows_[number].uses) {
    std::vector<Term>& terms = digits[use.place];
    std::uint32_t node = use.leaf;
    for (; node != kNone && !is_combination(nodes_[node]); node = nodes_[node].parent) {
      const std::uint32_t factor = nodes_[node].factor;
      terms.push_back({factor % 2 != 0 ? TermSource::inverse : TermSource::input, 0,
                       tap_at_[factor / 2 * grid_.displacements + use.displacement], use.magnitude});
    }
    if (node != kNone) {
      terms.push_back({TermSource::combination, use.displacement, nodes_[node].combination, use.magnitude});
    }
  }
  return digits;
}

}  // namespace popcorn::paillier
