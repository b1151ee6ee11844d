#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/array.hpp"

namespace cellmill {

/// A 1-D array that is read a few rows at a time, in order: the chunks that the last request lay in
/// stay decoded, so that each is decoded once and not once a segment. Given up after the last row.
/// Thread-safe.
class CachedVector {
 public:
  /// \param most_bytes that may stay; longer requests are read and forgotten
  CachedVector(std::unique_ptr<Array> array, std::int64_t most_bytes)
      : array_(std::move(array)), most_bytes_(most_bytes) {}

  [[nodiscard]] const Array& array() const { return *array_; }
  [[nodiscard]] std::int64_t size() const { return array_->info().shape[0]; }

  /// Instantiated for int32_t, int64_t, double.
  template <class T>
  [[nodiscard]] std::vector<T> read(Range range) const;

 private:
  [[nodiscard]] Range chunks_of(Range range) const;
  void load(Range chunks) const;

  std::unique_ptr<Array> array_;
  std::int64_t most_bytes_;
  mutable std::mutex mutex_;
  mutable Range cached_;  ///< chunks
  mutable RawVector<std::byte> decoded_;
};

}  // namespace cellmill
