// Choice of the combinations of inputs that the rows of a layer share [Arlazarov et al. 1970; Straus 1964].
//
// Cells are cut into blocks of k. A row's digits of one magnitude in one block at one displacement are a
// pattern, and a row then costs one multiplication per pattern instead of one per digit. The patterns of a
// block form a trie; a node of the trie that is used at least twice becomes a combination, computed from its
// parent with one multiplication a location. A pattern is replaced by its longest combination, and the rest
// of its digits stay as they are: so tables never cost more multiplications than the digits themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "paillier/weighted_sum/weighted_sum_digits.h"

namespace popcorn::paillier {

/// The cells, displacements and locations of a layer's taps; see SharedTables.
struct CellGrid {
  bool by_position = true;
  std::size_t cells = 0;
  std::size_t locations = 0;
  std::vector<std::uint32_t> cell;          ///< of each tap
  std::vector<std::uint16_t> displacement;  ///< of each tap
  std::vector<std::uint32_t> location;      ///< displacements × positions
  std::size_t displacements = 1;

  static CellGrid of_taps(const LinearMap& map);
  /// Cells are the planes of the inputs; nothing when some tap does not stay in one plane.
  static std::optional<CellGrid> of_planes(const LinearMap& map);
};

/// First collect() every row, then choose(), then replace() every row in the same order.
class TableBuilder {
 public:
  /// @param block_cells most cells of a block
  TableBuilder(const LinearMap& map, const CellGrid& grid, std::size_t block_cells);

  void collect(const RowDigits& row);

  /// The tables, or nothing when they would have more than `most_entries`.
  std::optional<SharedTables> choose(std::size_t most_entries);
  /// Multiplications that compute the entries.
  std::uint64_t multiplications() const noexcept { return multiplications_; }

  RowDigits replace(std::size_t row) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Node {
    std::uint32_t parent;  ///< or kNone for a single cell
    std::uint32_t factor;  ///< cell · 2 + inverted
    std::uint32_t length;
    std::uint32_t uses;
    std::uint32_t combination;  ///< once chosen, else kNone
  };
  /// A pattern of a row.
  struct Use {
    std::uint32_t place;
    std::uint32_t leaf;
    std::uint64_t magnitude;
    std::uint16_t displacement;
  };
  struct Row {
    std::vector<Use> uses;
    RowDigits others;  ///< terms that are no inputs
  };
  using Bits = std::vector<std::uint64_t>;

  std::uint32_t child(std::uint32_t parent, std::uint32_t factor);
  bool is_combination(const Node& node) const { return node.length >= 2 && node.uses >= 2; }
  /// The longest combination in a pattern, or kNone.
  std::uint32_t longest_combination(std::uint32_t leaf) const;
  /// Of each cell: the locations at which it lies inside the image.
  std::vector<Bits> present_locations() const;
  std::vector<Bits> needed_locations() const;

  const LinearMap& map_;
  const CellGrid& grid_;
  std::vector<std::uint32_t> block_;   ///< of each cell
  std::vector<std::uint32_t> tap_at_;  ///< cells × displacements
  std::vector<Node> nodes_;
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
  std::vector<Row> rows_;
  std::uint64_t multiplications_ = 0;
};

}  // namespace popcorn::paillier
