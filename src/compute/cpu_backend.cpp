#include <memory>
#include <string>

#include "cellmill/compute/backend.hpp"
#include "cpu_kernels.hpp"
#include "gram.hpp"
#include "projector.hpp"

namespace cellmill {

namespace {

/// Null for the plain level, which has no kernels of this kind.
const CpuKernels* kernels_of([[maybe_unused]] CpuLevel level) {
#ifdef CELLMILL_X86_KERNELS
  if (level == CpuLevel::avx512) return &kKernelsAvx512;
  if (level == CpuLevel::avx2) return &kKernelsAvx2;
#endif
  return nullptr;
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(CpuLevel level) : level_(level), kernels_(kernels_of(level)) {}

  [[nodiscard]] std::string name() const override { return "cpu (" + cpu_level_name(level_) + ")"; }

  [[nodiscard]] std::unique_ptr<GramAccumulator> make_gram(
      const GramOptions& options) const override {
    return kernels_ == nullptr ? make_plain_gram(options) : make_blocked_gram(options, *kernels_);
  }

  [[nodiscard]] std::unique_ptr<Projector> make_projector(
      std::span<const double> loadings, std::int32_t n_genes, std::int32_t k,
      std::span<const double> offset) const override {
    return kernels_ == nullptr ? make_plain_projector(loadings, n_genes, k, offset)
                               : make_panel_projector(loadings, n_genes, k, offset, *kernels_);
  }

 private:
  CpuLevel level_;
  const CpuKernels* kernels_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(CpuLevel level) {
  return std::make_unique<CpuBackend>(resolve_cpu_level(level));
}

}  // namespace cellmill
