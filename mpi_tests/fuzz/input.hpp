#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/core/error.hpp"
#include "storage/byte_store.hpp"

namespace cellmill {

/// The fuzzer's bytes, taken from the front.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const std::byte*>(data), size) {}

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint32_t number() {
    const std::uint32_t low = byte();
    return low | static_cast<std::uint32_t>(byte()) << 8;
  }
  /// Up to the next zero byte, which goes with it.
  std::string_view text() {
    const auto* begin = reinterpret_cast<const char*>(bytes_.data());
    const std::string_view all(begin, bytes_.size());
    const std::string_view taken = all.substr(0, all.find('\0'));
    bytes_ = bytes_.subspan(std::min(bytes_.size(), taken.size() + 1));
    return taken;
  }
  /// So many bytes, or as many as there are.
  std::span<const std::byte> take(std::size_t count) {
    const std::span<const std::byte> taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::span<const std::byte> rest() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

/// Runs what may refuse its input.
template <class Body>
void may_refuse(Body&& body) {
  try {
    body();
  } catch (const Error&) {
  } catch (const nlohmann::json::exception&) {  // the group that reads documents makes Errors of it
  }
}

/// Bytes in memory, which reads beyond their end leave to the sanitizer.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  [[nodiscard]] std::int64_t size() const override {
    return static_cast<std::int64_t>(bytes_.size());
  }
  void read(std::int64_t offset, std::span<std::byte> out) const override {
    if (offset < 0 || offset > size() || static_cast<std::int64_t>(out.size()) > size() - offset) {
      throw input_error("ends early");
    }
    std::copy_n(bytes_.begin() + offset, out.size(), out.begin());
  }

 private:
  std::vector<std::byte> bytes_;
};

/// A store of which every chunk holds the same bytes.
class OneChunkStore final : public ByteStore {
 public:
  explicit OneChunkStore(std::span<const std::byte> chunk) : chunk_(chunk.begin(), chunk.end()) {}
  [[nodiscard]] std::string place(const std::string& key) const override { return key; }
  [[nodiscard]] bool exists(const std::string& /*key*/) const override { return true; }
  [[nodiscard]] std::int64_t size(const std::string& /*key*/) const override {
    return static_cast<std::int64_t>(chunk_.size());
  }
  [[nodiscard]] bool read_into(const std::string& /*key*/, std::int64_t most,
                               Bytes& out) const override {
    check_most(size(""), most);
    out = chunk_;
    return true;
  }
  [[nodiscard]] std::unique_ptr<ByteSource> open(const std::string& /*key*/) const override {
    return std::make_unique<MemorySource>(chunk_);
  }
  [[nodiscard]] std::vector<std::string> folders(const std::string& /*key*/) const override {
    return {};
  }

 private:
  Bytes chunk_;
};

}  // namespace cellmill
