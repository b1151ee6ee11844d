#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace cellmill {

/// Values used last, by number, as far as their costs together stay below a limit (one is always
/// kept). Thread-safe; a value lives as long as somebody has it.
template <class Value>
class Recent {
 public:
  explicit Recent(std::int64_t limit) : limit_(limit) {}

  /// Nothing if it is not remembered; null may be remembered as well.
  [[nodiscard]] std::optional<std::shared_ptr<const Value>> find(std::int64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(number);
    if (found == places_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  /// Of a number that is remembered the first value stays.
  void add(std::int64_t number, std::shared_ptr<const Value> value, std::int64_t cost) {
    const std::lock_guard lock(mutex_);
    if (places_.contains(number)) return;
    entries_.push_front({number, std::move(value), cost});
    places_[number] = entries_.begin();
    cost_ += cost;
    while (cost_ > limit_ && entries_.size() > 1) {
      cost_ -= entries_.back().cost;
      places_.erase(entries_.back().number);
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    std::int64_t number;
    std::shared_ptr<const Value> value;
    std::int64_t cost;
  };
  std::int64_t limit_;
  std::int64_t cost_ = 0;
  std::list<Entry> entries_;  ///< most recently used first
  std::unordered_map<std::int64_t, typename std::list<Entry>::iterator> places_;
  std::mutex mutex_;
};

}  // namespace cellmill
