#include "cellmill/train/state.hpp"

#include <gmock/gmock.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using Rows = std::vector<std::int64_t>;

constexpr std::uint64_t same_data = 0x00C0FFEE12345678ULL;

std::unique_ptr<Order> shuffled(std::int64_t window, OrderOptions options = {10, 5, 2, Tail::drop},
                                const Rows& sources = {600, 400}) {
  return make_shuffled_order(RowBlocks(sources, 8), window, options);
}

std::string refusal(const LoaderState& state, const Order& order) {
  try {
    check(state, order, same_data);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    return error.what();
  }
  return "nothing";
}

std::string refusal(const std::string& text) {
  try {
    (void)state_from_json(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    return error.what();
  }
  return "nothing";
}

std::string replaced(std::string text, const std::string& part, const std::string& by) {
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return text.replace(at, part.size(), by);
}

TEST(LoaderState, ComesBackFromItsText) {
  LoaderState state = make_state(*shuffled(100), std::numeric_limits<std::uint64_t>::max(),
                                 std::int64_t{1} << 40, 97, same_data);
  state.options.emplace_back("column", "Zell-Linie ü \"quoted\"\n");
  EXPECT_EQ(state_from_json(to_json(state)), state);
  EXPECT_EQ(state.lanes, 2);
}

TEST(LoaderState, IsTakenByTheSameOrder) {
  EXPECT_EQ(refusal(make_state(*shuffled(100), 5, 3, 100, same_data), *shuffled(100)), "nothing");
}

TEST(LoaderState, IsRefusedByAnOrderThatDiffers) {
  const LoaderState state = make_state(*shuffled(65'536), 5, 0, 0, same_data);
  EXPECT_EQ(refusal(state, *shuffled(4'096)),
            "the state was saved with window=65536, this loader has 4096");
  EXPECT_EQ(refusal(state, *shuffled(65'536, {20, 5, 2, Tail::drop})),
            "the state was saved with batch_size=10, this loader has 20");
  EXPECT_EQ(refusal(state, *shuffled(65'536, {10, 6, 2, Tail::drop})),
            "the state was saved with seed=5, this loader has 6");
  EXPECT_EQ(refusal(state, *shuffled(65'536, {10, 5, 4, Tail::drop})),
            "the state was saved with lanes=2, this loader has 4");
  EXPECT_EQ(refusal(state, *shuffled(65'536, {10, 5, 2, Tail::pad})),
            "the state was saved with tail=drop, this loader has pad");
  EXPECT_THAT(refusal(state, *shuffled(65'536, {10, 5, 2, Tail::drop}, {601, 399})),
              testing::StartsWith("the state was saved with rows=1000 ("));
  const auto sequential = make_sequential_order(RowBlocks(Rows{600, 400}, 8), {10, 5, 2});
  EXPECT_EQ(refusal(state, *sequential),
            "the state was saved with order=shuffle, this loader has sequential");
}

TEST(LoaderState, IsRefusedForOptionsThatOnlyOneSideHas) {
  LoaderState more = make_state(*shuffled(100), 5, 0, 0, same_data);
  more.options.emplace_back("weights", "w");
  EXPECT_EQ(refusal(more, *shuffled(100)),
            "the state was saved with weights=w, this loader has no weights");
  LoaderState less = make_state(*shuffled(100), 5, 0, 0, same_data);
  less.options.pop_back();
  EXPECT_EQ(refusal(less, *shuffled(100)),
            "the state was saved without window, this loader has window=100");
}

TEST(LoaderState, IsRefusedPastTheEndOfAnEpoch) {
  EXPECT_EQ(refusal(make_state(*shuffled(100), 5, 0, 101, same_data), *shuffled(100)),
            "the state was saved after 101 batches, an epoch has 100");
}

TEST(LoaderState, IsRefusedWhereTheDataAreOthers) {
  LoaderState state = make_state(*shuffled(100), 5, 0, 0, same_data);
  state.data ^= 1;
  EXPECT_THAT(refusal(state, *shuffled(100)),
              testing::AllOf(testing::StartsWith("the data changed since the state was saved"),
                             testing::HasSubstr("00c0ffee12345679 then, 00c0ffee12345678 now")));
}

TEST(LoaderState, IsRefusedWhereTextIsDamaged) {
  const std::string good = to_json(make_state(*shuffled(100), 5, 2, 7, same_data));
  EXPECT_EQ(refusal(good), "nothing");
  EXPECT_EQ(refusal(""), "state: it is no JSON object");
  EXPECT_EQ(refusal("[1]"), "state: it is no JSON object");
  EXPECT_EQ(refusal(good.substr(0, good.size() / 2)), "state: it is no JSON object");
  EXPECT_EQ(refusal("{}"), "state: it has no 'version'");
  EXPECT_EQ(refusal(replaced(good, "\"version\":1", "\"version\":2")),
            "state: version 2 found, expected 1");
  EXPECT_THAT(refusal(replaced(good, "\"epoch\":2", "\"epoch\":-2")),
              testing::StartsWith("state: epoch: -2 found, expected a whole number from 0"));
  EXPECT_THAT(refusal(replaced(good, "\"epoch\":2", "\"epoch\":1.5")),
              testing::StartsWith("state: epoch: 1.5 found"));
  EXPECT_THAT(refusal(replaced(good, "\"batches\":7", "\"batches\":18446744073709551615")),
              testing::StartsWith("state: batches: 18446744073709551615 found"));
  EXPECT_THAT(refusal(replaced(good, "\"lanes\":2", "\"lanes\":0")),
              testing::StartsWith("state: lanes: 0 found, expected a whole number from 1"));
  EXPECT_THAT(refusal(replaced(good, "\"window\":\"100\"", "\"window\":100")),
              testing::HasSubstr("window: 100 found, expected a string"));
  EXPECT_THAT(refusal(replaced(good, "\"window\":\"100\"", "\"window\":\"200\"")),
              testing::StartsWith("state: its options were changed: hash"));
  EXPECT_THAT(refusal(replaced(good, "\"seed\":5", "\"seed\":6")),
              testing::StartsWith("state: its options were changed: hash"));
  for (const char* other : {"\"\"", "12", "\"00c0ffee1234567g\"", "\"00c0ffee123456789\""}) {
    EXPECT_EQ(refusal(replaced(good, "\"00c0ffee12345678\"", other)),
              "state: data: " + std::string(other) + " found, expected 16 hexadecimal digits");
  }
}

TEST(LoaderState, HashesWhatShapesTheOrderAndNotThePlace) {
  const LoaderState state = make_state(*shuffled(100), 5, 0, 0, same_data);
  EXPECT_EQ(make_state(*shuffled(100), 5, 8, 30, same_data).hash(), state.hash());
  EXPECT_NE(make_state(*shuffled(200), 5, 0, 0, same_data).hash(), state.hash());
  EXPECT_NE(make_state(*shuffled(100), 6, 0, 0, same_data).hash(), state.hash());
  LoaderState moved = state;  // the same letters, cut elsewhere
  moved.options = {{"ab", "c"}};
  LoaderState other = state;
  other.options = {{"a", "bc"}};
  EXPECT_NE(moved.hash(), other.hash());
}

}  // namespace
}  // namespace cellmill
