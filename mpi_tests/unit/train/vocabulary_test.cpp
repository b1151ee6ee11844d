#include "cellmill/train/vocabulary.hpp"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <fstream>

#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class VocabularyTest : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& name, const std::string& text) {
    std::ofstream(folder_.path() / name) << text;
    return folder_.path() / name;
  }
  auto reading(const std::string& name, const std::string& text) {
    return [path = file(name, text)] { (void)read_vocabulary(path); };
  }
  TempFolder folder_;
};

TEST_F(VocabularyTest, ReadsTablesAndJson) {
  const Vocabulary table =
      read_vocabulary(file("a.tsv", "gene_id\ttoken\tmedian\r\n<pad>\t0\t\r\nÄ\t7\t1.5\n\n"));
  EXPECT_THAT(table.names, ElementsAre("<pad>", "Ä"));
  EXPECT_THAT(table.ids, ElementsAre(0, 7));
  EXPECT_TRUE(std::isnan(table.medians[0]));
  EXPECT_EQ(table.medians[1], 1.5);
  const Vocabulary json = read_vocabulary(file("a.json", R"({"b": 3, "a": 0})"));
  EXPECT_THAT(json.names, ElementsAre("b", "a"));
  EXPECT_THAT(json.ids, ElementsAre(3, 0));
  EXPECT_TRUE(json.medians.empty());
  EXPECT_TRUE(read_vocabulary(file("b.tsv", "gene\ttoken\na\t1\n")).medians.empty());
}

TEST_F(VocabularyTest, SaysWhatIsWrongAndWhere) {
  const auto says = [](const char* text) { return ThrowsMessage<Error>(HasSubstr(text)); };
  EXPECT_THAT(reading("a.tsv", ""), says("a.tsv: it is empty"));
  EXPECT_THAT(reading("a.tsv", "a\nb\n"), says("expected columns separated by tabs"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\na\tx\n"), says("line 2: token 'x' found"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\na\t1\t2\n"), says("line 2: 3 columns found, expected 2"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\na\t1\na\t2\n"), says("'a' occurs more than once"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\na\t-1\n"), says("token -1 found"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\tmedian\na\t1\t0\n"), says("median 0 found"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\tmedian\na\t1\tinf\n"), says("median inf found"));
  EXPECT_THAT(reading("a.tsv", "g\ttoken\n"), says("the vocabulary is empty"));
  EXPECT_THAT(reading("a.json", "[1]"), says("expected a JSON object"));
  EXPECT_THAT(reading("a.json", R"({"a": 1.5})"), says("'a': 1.5 found, expected an id"));
  EXPECT_THAT([] { (void)read_vocabulary("/nowhere.tsv"); }, says("there is no such file"));
}

TEST_F(VocabularyTest, SpecialTokensThatItLacksComeAfterItsLast) {
  const Vocabulary vocabulary{{"a", "<cls>", "b"}, {4, 9, 2}, {}};
  constexpr std::array<std::string_view, 3> names{"<pad>", "<cls>", "<eoc>"};
  const auto tokens = special_tokens(vocabulary, names);
  ASSERT_EQ(tokens.size(), 3);
  EXPECT_EQ(tokens[0].id, 10);
  EXPECT_TRUE(tokens[0].appended);
  EXPECT_EQ(tokens[1].id, 9);
  EXPECT_FALSE(tokens[1].appended);
  EXPECT_EQ(tokens[2].id, 11);
}

}  // namespace
}  // namespace cellmill
