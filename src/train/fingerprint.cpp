#include <algorithm>
#include <bit>
#include <memory>
#include <string_view>

#include "cellmill/core/random.hpp"
#include "cellmill/storage/array.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/train/dataset.hpp"

namespace cellmill {
namespace {

class Fingerprint {
 public:
  void add(std::uint64_t number) { value_ = CounterRng(value_, 0).bits(number); }

  void add(std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    add(hash);
  }

  /// The shape, and a few neighbouring rows at each of so many places.
  void add(const Array& array, std::int64_t places) {
    const std::vector<std::int64_t>& shape = array.info().shape;
    for (const std::int64_t length : shape) add(static_cast<std::uint64_t>(length));
    const std::int64_t rows = shape.empty() ? 0 : shape.front();
    const std::int64_t neighbours = shape.size() == 1 ? 32 : 1;
    for (std::int64_t i = 0; i < std::min(places, rows); ++i) {
      const std::int64_t begin = (2 * i + 1) * rows / (2 * std::min(places, rows));
      const Range range{begin, std::min(begin + neighbours, rows)};
      for (const double value : read_rows<double>(array, range)) {
        add(std::bit_cast<std::uint64_t>(value));
      }
    }
  }

  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

}  // namespace

std::uint64_t Dataset::fingerprint(const std::string& matrix) const {
  // Chunks that are read for it: three arrays in each place, a millisecond each.
  constexpr std::int64_t most_places = 64;
  const std::int64_t places = std::clamp<std::int64_t>(most_places / n_sources(), 1, 8);
  Fingerprint print;
  for (const auto& source : data_) {
    const Strings genes = source->var().index({0, source->n_vars()});
    for (std::int64_t i = 0; i < genes.size(); ++i) print.add(genes[i]);
    const Group& root = source->root();
    if (root.kind(matrix) != NodeKind::group) {
      print.add(*root.array(matrix), places);
      continue;
    }
    const std::unique_ptr<Group> parts = root.group(matrix);
    for (const char* part : {"indptr", "indices", "data"}) print.add(*parts->array(part), places);
  }
  return print.value();
}

}  // namespace cellmill
