#include "projector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cpu_kernels.hpp"

namespace cellmill {

namespace {

struct Shape {
  std::int64_t n_genes;
  std::int64_t k;
};

Shape checked_shape(std::span<const double> loadings, std::int32_t n_genes, std::int32_t k,
                    std::span<const double> offset) {
  const Shape shape{n_genes, k};
  if (n_genes < 0 || k < 0 || static_cast<std::int64_t>(loadings.size()) != shape.n_genes * k ||
      static_cast<std::int64_t>(offset.size()) != k) {
    throw input_error(fmt::format("projection: found {} loadings and {} offsets, expected {} × {}",
                                  loadings.size(), offset.size(), n_genes, k));
  }
  return shape;
}

void check_rows(const CsrView& rows, std::span<const float> out, const Shape& shape) {
  if (rows.n_cols != shape.n_genes ||
      static_cast<std::int64_t>(out.size()) != rows.n_rows() * shape.k) {
    throw input_error(fmt::format(
        "projection: found {} rows of {} genes and room for {} numbers, expected {} genes and {}",
        rows.n_rows(), rows.n_cols, out.size(), shape.n_genes, rows.n_rows() * shape.k));
  }
}

struct Row {
  std::int64_t begin;
  std::int64_t size;
};

Row row_of(const CsrView& rows, std::int64_t row) {
  const auto at = static_cast<std::size_t>(row);
  return {rows.indptr[at] - rows.indptr[0], rows.indptr[at + 1] - rows.indptr[at]};
}

class PlainProjector final : public Projector {
 public:
  PlainProjector(std::span<const double> loadings, std::int32_t n_genes, std::int32_t k,
                 std::span<const double> offset)
      : shape_(checked_shape(loadings, n_genes, k, offset)),
        loadings_(loadings.begin(), loadings.end()),
        offset_(offset.begin(), offset.end()) {}

  void project(const CsrView& rows, std::span<float> out) const override {
    check_rows(rows, out, shape_);
    const auto k = static_cast<std::size_t>(shape_.k);
    std::vector<double> sums(k);
    for (std::int64_t r = 0; r < rows.n_rows(); ++r) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const Row row = row_of(rows, r);
      for (std::int64_t e = row.begin; e < row.begin + row.size; ++e) {
        const auto at = static_cast<std::size_t>(e);
        const double* of_gene = loadings_.data() + rows.indices[at] * shape_.k;
        for (std::size_t c = 0; c < k; ++c) {
          sums[c] += static_cast<double>(rows.values[at]) * of_gene[c];
        }
      }
      float* target = out.data() + r * shape_.k;
      for (std::size_t c = 0; c < k; ++c) target[c] = static_cast<float>(sums[c] - offset_[c]);
    }
  }

 private:
  Shape shape_;
  std::vector<double> loadings_;
  std::vector<double> offset_;
};

/// Panels of up to kMaxPanel components stay in L2 while a block of cells passes by; a cell's
/// components stay in registers, and are summed in the order of its genes.
class PanelProjector final : public Projector {
 public:
  PanelProjector(std::span<const double> loadings, std::int32_t n_genes, std::int32_t k,
                 std::span<const double> offset, const CpuKernels& kernels)
      : shape_(checked_shape(loadings, n_genes, k, offset)),
        offset_(offset.begin(), offset.end()),
        kernels_(kernels) {
    const std::int64_t n_panels = (shape_.k + kMaxPanel - 1) / kMaxPanel;
    for (std::int64_t p = 0, first = 0; p < n_panels; ++p) {
      const std::int64_t left = shape_.k - first;
      const std::int64_t even = (left + n_panels - p - 1) / (n_panels - p);
      const std::int64_t width = (even + kVector - 1) / kVector * kVector;
      Panel panel{first, std::min(width, left), width, {}};
      panel.loadings.resize(static_cast<std::size_t>(shape_.n_genes * width), 0.0F);
      for (std::int64_t g = 0; g < shape_.n_genes; ++g) {
        for (std::int64_t c = 0; c < panel.size; ++c) {
          panel.loadings[static_cast<std::size_t>(g * width + c)] =
              static_cast<float>(loadings[static_cast<std::size_t>(g * shape_.k + first + c)]);
        }
      }
      first += panel.size;
      if (panel.size > 0) panels_.push_back(std::move(panel));
    }
  }

  void project(const CsrView& rows, std::span<float> out) const override {
    check_rows(rows, out, shape_);
    std::array<float, kMaxPanel> sums;
    for (std::int64_t begin = 0; begin < rows.n_rows(); begin += kBlockRows) {
      const std::int64_t end = std::min(begin + kBlockRows, rows.n_rows());
      for (const Panel& panel : panels_) {
        for (std::int64_t r = begin; r < end; ++r) {
          const Row row = row_of(rows, r);
          kernels_.project_row(panel.loadings.data(), rows.indices.data() + row.begin,
                               rows.values.data() + row.begin, row.size, sums.data(), panel.width);
          float* target = out.data() + r * shape_.k + panel.first;
          const double* offset = offset_.data() + panel.first;
          for (std::int64_t c = 0; c < panel.size; ++c) {
            target[c] = static_cast<float>(static_cast<double>(sums[static_cast<std::size_t>(c)]) -
                                           offset[c]);
          }
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kVector = 16;
  static constexpr std::int64_t kBlockRows = 200;

  struct Panel {
    std::int64_t first;  ///< component
    std::int64_t size;
    std::int64_t width;  ///< of a gene's row: the size, rounded up with zeros
    std::vector<float> loadings;
  };

  Shape shape_;
  std::vector<Panel> panels_;
  std::vector<double> offset_;
  const CpuKernels& kernels_;
};

}  // namespace

std::unique_ptr<Projector> make_plain_projector(std::span<const double> loadings,
                                                std::int32_t n_genes, std::int32_t k,
                                                std::span<const double> offset) {
  return std::make_unique<PlainProjector>(loadings, n_genes, k, offset);
}

std::unique_ptr<Projector> make_panel_projector(std::span<const double> loadings,
                                                std::int32_t n_genes, std::int32_t k,
                                                std::span<const double> offset,
                                                const CpuKernels& kernels) {
  return std::make_unique<PanelProjector>(loadings, n_genes, k, offset, kernels);
}

}  // namespace cellmill
