#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anndata/views/view_node.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return usage_error("no error");
}

/// A store with `real/a` (an array), and a view of it with other names.
class ViewGroupTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = folder_.path() / "s.zarr";
    {
      const auto root = open_zarr(path, OpenMode::create);
      const auto group = root->create_group("real");
      write_array<std::int32_t>(*group, "a", std::vector<std::int32_t>{5, 6, 7});
      group->set_attributes("a", {{"unit", "cells"}});
      group->set_attributes("", {{"kept", 1}});
    }
    const std::shared_ptr<const Group> store = open_zarr(path);
    const Element real{store, "real"};
    view_ = open_view(
        "s.zarr", store->format(),
        group_node(
            {{"title", "view"}},
            {{"passed", element_node(real, {{"encoding-type", "dict"}})},
             {"made", array_node({{"unit", "made"}}, [=] { return real.child("a").array(); })},
             {"rows", row_numbers("s.zarr: rows", 3)},
             {"changed",
              changed_node(element_node(real), {{"a", nullptr}, {"b", row_numbers("b", 2)}})}}));
  }

  TempFolder folder_;
  std::unique_ptr<Group> view_;
};

TEST_F(ViewGroupTest, HasItsOwnTree) {
  EXPECT_EQ(view_->location(), "s.zarr");
  EXPECT_EQ(view_->format(), StoreFormat::zarr3);
  EXPECT_THAT(view_->keys(), ElementsAre("changed", "made", "passed", "rows"));
  EXPECT_EQ(view_->attributes(), (json{{"title", "view"}}));
  EXPECT_EQ(view_->kind("passed"), NodeKind::group);
  EXPECT_EQ(view_->kind("passed/a"), NodeKind::array);
  EXPECT_EQ(view_->kind("made"), NodeKind::array);
  EXPECT_EQ(view_->kind("real"), NodeKind::none);
  EXPECT_EQ(view_->kind("made/a"), NodeKind::none);
}

TEST_F(ViewGroupTest, PassesElementsThroughWithAttributesAdded) {
  const auto passed = view_->group("passed");
  EXPECT_EQ(passed->location(), "s.zarr: passed");
  EXPECT_EQ(passed->attributes(), (json{{"kept", 1}, {"encoding-type", "dict"}}));
  EXPECT_EQ(passed->attributes("a"), (json{{"unit", "cells"}}));
  EXPECT_THAT(passed->keys(), ElementsAre("a"));
  EXPECT_THAT(read_all<std::int32_t>(*passed->array("a")), ElementsAre(5, 6, 7));
  EXPECT_THAT(read_all<std::int32_t>(*view_->array("passed/a")), ElementsAre(5, 6, 7));
}

TEST_F(ViewGroupTest, MakesArraysOnDemand) {
  EXPECT_EQ(view_->attributes("made"), (json{{"unit", "made"}}));
  EXPECT_THAT(read_all<std::int32_t>(*view_->array("made")), ElementsAre(5, 6, 7));
  EXPECT_THAT(read_all<std::int64_t>(*view_->array("rows")), ElementsAre(0, 1, 2));
  EXPECT_EQ(read_range<std::int64_t>(*view_->array("rows"), {2, 3}).front(), 2);
}

TEST_F(ViewGroupTest, HidesAndReplacesChildren) {
  const auto changed = view_->group("changed");
  EXPECT_THAT(changed->keys(), ElementsAre("b"));
  EXPECT_EQ(changed->kind("a"), NodeKind::none);
  EXPECT_THAT(read_all<std::int64_t>(*changed->array("b")), ElementsAre(0, 1));
}

TEST_F(ViewGroupTest, SaysWhatIsMissingOrOfTheOtherKind) {
  const Error missing = error_of([&] { (void)view_->group("nothing"); });
  EXPECT_EQ(missing.kind(), Error::Kind::missing);
  EXPECT_THAT(missing.what(), HasSubstr("s.zarr: there is no 'nothing'"));
  EXPECT_EQ(error_of([&] { (void)view_->attributes("nothing"); }).kind(), Error::Kind::missing);
  EXPECT_EQ(error_of([&] { (void)view_->group("made"); }).kind(), Error::Kind::input);
  EXPECT_EQ(error_of([&] { (void)view_->array("passed"); }).kind(), Error::Kind::input);
}

TEST_F(ViewGroupTest, RefusesToBeWrittenTo) {
  EXPECT_THAT(error_of([&] { (void)view_->create_group("new"); }).what(), HasSubstr("read only"));
  EXPECT_EQ(error_of([&] { (void)view_->create_array("new", {}); }).kind(), Error::Kind::io);
  EXPECT_EQ(error_of([&] { (void)view_->open_writer("made"); }).kind(), Error::Kind::io);
  EXPECT_EQ(error_of([&] { view_->set_attributes("", {{"a", 1}}); }).kind(), Error::Kind::io);
}

TEST(RowNumbers, AreRightBeyondOneChunk) {
  const auto numbers = row_numbers("rows", 200'000)->array();
  EXPECT_THAT(read_range<std::int64_t>(*numbers, {131'070, 131'074}),
              ElementsAre(131'070, 131'071, 131'072, 131'073));
  EXPECT_TRUE(read_all<std::int64_t>(*row_numbers("rows", 0)->array()).empty());
}

}  // namespace
}  // namespace cellmill
