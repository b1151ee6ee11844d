#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "anndata/views/view_node.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

/// The features of one genome, of a 10x .h5 file (version 3) whose matrix has those of several.
/// What is chosen is copied to a scratch file, which lives as long as the nodes made of it.
class TenxGenome {
 public:
  /// \param matrix the file's group `matrix` \throws Error(input) if no feature is of that genome
  TenxGenome(const Element& matrix, const std::string& genome);

  /// Whether all features are of it: then there is nothing to choose.
  [[nodiscard]] bool is_only() const { return is_only_; }

  /// The chosen elements of an array with one element a feature.
  [[nodiscard]] Node chosen(const Element& column, nlohmann::json attributes) const;

  /// The chosen columns of a CSR matrix of cells × features; the numbers keep their type.
  [[nodiscard]] Node chosen_counts(const Node& counts) const;

 private:
  std::string location_;
  std::vector<std::int64_t> kept_;  ///< rows of `features`
  std::vector<std::int32_t> slot_;  ///< of each row of `features`: which of those kept, or −1
  bool is_only_ = false;
  mutable std::shared_ptr<ScratchFile> scratch_;
};

}  // namespace cellmill
