// Cell lines from counts by softmax regression: a training loop in C++, on shuffled batches out of
// files that need not fit in memory.
//
//   loop [PLATE…]     AnnData with obs["cell_line"]; without any, plates that are made up here
#include <algorithm>
#include <cellmill/anndata/paths.hpp>
#include <cellmill/core/error.hpp>
#include <cellmill/simulate/simulate.hpp>
#include <cellmill/train/loader.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <span>
#include <vector>

namespace {

/// Linear scores of labels. A gene's weights, one a label, are neighbours: a cell touches few
/// genes.
class SoftmaxRegression {
 public:
  SoftmaxRegression(std::size_t n_genes, std::size_t n_labels)
      : weights_(n_genes * n_labels), biases_(n_labels) {}

  /// Learns from one cell. Returns the probability that its label had before.
  float learn(std::span<const std::int32_t> genes, std::span<const float> values,
              std::size_t label) {
    std::vector<float> scores = biases_;
    float norm = 1;  // of the bias
    for (std::size_t i = 0; i < genes.size(); ++i) {
      const float* of_gene = weights_of(genes[i]);
      for (std::size_t k = 0; k < scores.size(); ++k) scores[k] += values[i] * of_gene[k];
      norm += values[i] * values[i];
    }
    const float largest = *std::ranges::max_element(scores);
    for (float& score : scores) score = std::exp(score - largest);
    const float sum = std::accumulate(scores.begin(), scores.end(), 0.0F);
    for (float& score : scores) score /= sum;  // probabilities now
    const float found = scores[label];
    scores[label] -= 1;  // and now the gradient by scores

    const float rate =
        0.3F / norm;  // a step as long for a cell with many genes as for one with few
    for (std::size_t k = 0; k < scores.size(); ++k) biases_[k] -= rate * scores[k];
    for (std::size_t i = 0; i < genes.size(); ++i) {
      float* of_gene = weights_of(genes[i]);
      for (std::size_t k = 0; k < scores.size(); ++k) of_gene[k] -= rate * values[i] * scores[k];
    }
    return found;
  }

 private:
  float* weights_of(std::int32_t gene) {
    return weights_.data() + static_cast<std::size_t>(gene) * biases_.size();
  }

  std::vector<float> weights_;
  std::vector<float> biases_;
};

void train(const std::vector<std::filesystem::path>& paths) {
  const auto data = cellmill::Dataset::open({paths, std::nullopt, {}});
  // Blocks of 64 neighbours in random order, 65,536 cells mixed at a time.
  const std::shared_ptr<const cellmill::Order> order = cellmill::make_shuffled_order(
      cellmill::RowBlocks(data->rows_of_sources(), 64), 65'536, {.batch_size = 128});
  cellmill::ReadOptions read;
  read.obs = {"cell_line"};
  read.transform = {.target_sum = 1e4, .log1p = true};
  read.threads = cellmill::default_threads(1);
  // {r, n}: the batches of process r of n. Windows are read and decoded ahead, by the loader's
  // threads.
  cellmill::Loader loader(data, order, cellmill::Tail::drop, read, {.index = 0, .count = 1});

  const auto n_labels = static_cast<std::size_t>(loader.obs(0).levels().size());
  SoftmaxRegression model(loader.genes().size(), n_labels);
  for (int epoch = 0; epoch < 5; ++epoch) {
    double loss = 0;
    std::int64_t cells = 0;
    while (const auto batch = loader.next()) {  // null: the epoch is over, and the next one begins
      const cellmill::BatchMatrix& x = batch->matrices[0];
      for (std::size_t row = 0; row < batch->rows.size(); ++row) {
        const std::int64_t label = batch->obs[0].integers[row];
        if (label < 0) continue;  // a cell without one
        const auto begin = static_cast<std::size_t>(x.indptr[row]);
        const auto count = static_cast<std::size_t>(x.indptr[row + 1]) - begin;
        loss -= std::log(model.learn(std::span(x.indices).subspan(begin, count),
                                     std::span(x.values).subspan(begin, count),
                                     static_cast<std::size_t>(label)));
        ++cells;
      }
    }
    std::printf("epoch %d: %lld cells, loss %.3f\n", epoch, static_cast<long long>(cells),
                loss / static_cast<double>(cells));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "cellmill_loop";
  try {
    std::vector<std::filesystem::path> paths =
        cellmill::expand_paths(std::vector<std::string>(argv + 1, argv + argc));
    if (paths.empty()) {
      std::filesystem::remove_all(folder);
      cellmill::Arena arena(1);
      paths = cellmill::simulate_plates(
          folder, {.plates = 2, .cells = 2000, .genes = 600, .nnz = 80, .cell_lines = 8}, arena);
    }
    train(paths);
    std::filesystem::remove_all(folder);
    return 0;
  } catch (const cellmill::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
