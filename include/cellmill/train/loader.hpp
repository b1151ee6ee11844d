#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/train/batch.hpp"
#include "cellmill/train/dataset.hpp"
#include "cellmill/train/order.hpp"
#include "cellmill/train/tokenizer.hpp"

namespace cellmill {

/// What is done to the counts of each cell, in this order.
struct RowTransform {
  std::optional<double> target_sum;  ///< scaled to this total, over all genes of the source
  bool log1p = false;
  [[nodiscard]] bool any() const { return target_sum.has_value() || log1p; }
};

/// Which genes a batch keeps, chosen by what is in it.
struct GeneSelection {
  enum class Kind {
    most_expressed,   ///< those with the largest sums; ties by column rising
    random_expressed  ///< any of those that a cell of the batch expresses, all equally likely
  };
  Kind kind = Kind::most_expressed;
  std::int64_t count = 2048;  ///< random_expressed: fewer if not so many are expressed
};

/// What a batch holds, and what it may take to make it.
struct ReadOptions {
  std::vector<std::string> matrices = {"X"};  ///< "X", "layers/counts", "raw/X"
  std::vector<std::string> obs;
  /// Of some of `obs`: what their codes mean, whatever levels the data have (with_levels).
  std::map<std::string, std::vector<std::string>> obs_levels;
  std::vector<std::string> obsm;
  BatchLayout layout = BatchLayout::csr;
  GeneJoin join = GeneJoin::inner;
  /// The genes, in this order, instead of those that the sources have; absent ones are zero.
  std::optional<std::vector<std::string>> genes;
  RowTransform transform;  ///< of the first matrix
  /// The first matrix comes as tokens; CSR only. An outer join leaves each cell all of its genes.
  std::optional<TokenizerOptions> tokens;
  /// By the first matrix, once it is transformed; of the others too. Not with tokens.
  std::optional<GeneSelection> selection;
  std::uint64_t seed = 0;  ///< of random draws in a batch
  int threads = 1;
  std::int64_t memory = std::int64_t{4} << 30;  ///< for all buffers
};

/// What has been read so far.
struct ReadCounts {
  std::int64_t rows = 0;           ///< handed out
  std::int64_t rows_read = 0;      ///< fetched, needed or not
  std::int64_t bytes_fetched = 0;  ///< encoded
};

/// Hands out the batches of one of several readers (ranks, or workers of ranks), epoch after epoch.
/// Windows are read and decoded ahead by threads of its own, while earlier ones are used. One
/// thread at a time calls it.
class Loader {
 public:
  struct Place {
    std::int64_t epoch = 0;
    std::int64_t first = 0;  ///< global batches of that epoch that were handed out before
  };
  struct Reader {
    int index = 0;
    int count = 1;
  };

  /// Opens the matrices; reads the columns of obs. \throws Error for what is not there or can't be
  /// joined, and if a window can't fit the memory
  Loader(std::shared_ptr<const Dataset> data, std::shared_ptr<const Order> order, Tail tail,
         const ReadOptions& options, Reader reader);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Names of the genes of the batches' first matrix.
  [[nodiscard]] const std::vector<std::string>& genes() const;
  /// Levels and kind of an obs column of the batches.
  [[nodiscard]] const ObsValues& obs(std::size_t column) const;

  /// The next batch comes from there; what was read ahead is dropped unless it is the same place.
  void go_to(Place place);
  /// The next batch; null at the end of an epoch, after which the following epoch begins.
  /// \param check called now and then while it waits; throws to end the wait, after which the same
  /// batch comes next
  /// \throws what reading threw
  [[nodiscard]] std::shared_ptr<Batch> next(const std::function<void()>& check = {});
  /// Steps of a whole epoch, or of one from a place on.
  [[nodiscard]] std::int64_t steps(std::int64_t first = 0) const;
  [[nodiscard]] ReadCounts counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Any rows in the order asked, as one batch: for map-style access.
class RowGatherer {
 public:
  RowGatherer(std::shared_ptr<const Dataset> data, const ReadOptions& options);
  ~RowGatherer();
  RowGatherer(const RowGatherer&) = delete;
  RowGatherer& operator=(const RowGatherer&) = delete;
  [[nodiscard]] const std::vector<std::string>& genes() const;
  [[nodiscard]] const ObsValues& obs(std::size_t column) const;
  /// Rows may repeat. \throws Error(input) for a row that is not there
  [[nodiscard]] std::shared_ptr<Batch> rows(std::span<const std::int64_t> rows);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cellmill
