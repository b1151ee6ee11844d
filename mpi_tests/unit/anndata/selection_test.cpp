#include "cellmill/anndata/selection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A table of six cells with a column of every kind.
class SelectionTest : public testing::Test {
 protected:
  SelectionTest() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto root = open_zarr(folder_.path() / "table.zarr", OpenMode::create);
    obs_ = create_dataframe(*root, "obs",
                            {"n_counts", "score", "NUM.SNPS", "name", "pass_filter", "stage",
                             "dose", "step", "flag", "age", "doublet"});
    write_index(*obs_, Strings(std::vector<std::string>{"a", "b", "c", "d", "e", "f"}));
    integers("n_counts", {100, 2000, 9007199254740993, -5, 0, 1000});
    numbers("score", {0.5, nan, -1, 2, 1e300, 0});
    numbers("NUM.SNPS", {1, 2, 3, 4, 5, 6});
    ColumnRows rows;
    rows.strings =
        Strings(std::vector<std::string>{"x", "Zürich", "quote\"d", "", "x", "tab\tbed"});
    write({"name", ColumnKind::string, DType::string}, rows);
    categorical("pass_filter", DType::string, {"full", "minimal"}, {0, 0, 1, 0, -1, 1});
    categorical("stage", DType::string, {"low", "mid", "high"}, {0, 1, 2, 1, -1, 2}, true);
    categorical("dose", DType::float64, {"0.05", "0.5", "5.0"}, {0, 1, 2, 1, -1, 0});
    categorical("step", DType::int64, {"3", "1", "2"}, {0, 1, 2, 1, -1, 0}, true);
    rows = {};
    rows.integers = {1, 0, 1, 0, 1, 0};
    write({"flag", ColumnKind::boolean, DType::boolean}, rows);
    rows.missing = {false, false, true, true, false, false};
    write({"doublet", ColumnKind::nullable_boolean, DType::boolean}, rows);
    rows.integers = {10, 20, 30, 1, 1, 60};
    rows.missing = {false, false, false, true, true, false};
    write({"age", ColumnKind::nullable_integer, DType::int64}, rows);
    table_ = std::make_unique<DataFrame>(open_zarr(folder_.path() / "table.zarr")->group("obs"));
  }

  /// The rows that are selected.
  std::vector<int> rows(const std::string& expression, Range range = {0, 6}) const {
    const std::vector<bool> selected = Selection(expression).evaluate(*table_, range);
    EXPECT_EQ(static_cast<std::int64_t>(selected.size()), range.size());
    std::vector<int> found;
    for (std::size_t i = 0; i < selected.size(); ++i) {
      if (selected[i]) found.push_back(static_cast<int>(i));
    }
    return found;
  }

  /// The message of check(), "" if it accepts.
  std::string complaint(const std::string& expression,
                        Error::Kind kind = Error::Kind::input) const {
    try {
      Selection(expression).check(*table_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "";
  }

  const DataFrame& table() const { return *table_; }

 private:
  void write(const ColumnInfo& info, const ColumnRows& rows, const Strings& levels = {}) {
    write_column(*obs_, info, rows, levels);
  }
  void integers(const std::string& name, const std::vector<std::int64_t>& values) {
    ColumnRows rows;
    rows.integers = values;
    write({name, ColumnKind::numeric, DType::int64}, rows);
  }
  void numbers(const std::string& name, const std::vector<double>& values) {
    ColumnRows rows;
    rows.numbers = values;
    write({name, ColumnKind::numeric, DType::float64}, rows);
  }
  void categorical(const std::string& name, DType dtype, const std::vector<std::string>& levels,
                   const std::vector<std::int32_t>& codes, bool ordered = false) {
    ColumnRows rows;
    rows.codes = codes;
    write({name, ColumnKind::categorical, dtype, ordered}, rows, Strings(levels));
  }

  TempFolder folder_;
  std::unique_ptr<Group> obs_;
  std::unique_ptr<DataFrame> table_;
};

/// The message of a wrong expression.
std::string syntax_error(const std::string& expression) {
  try {
    (void)Selection(expression);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage);
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << expression;
  return "";
}

TEST_F(SelectionTest, CategoricalColumnsCompareByLevel) {
  EXPECT_THAT(rows("pass_filter == \"full\""), ElementsAre(0, 1, 3));
  EXPECT_THAT(rows("pass_filter != 'full'"), ElementsAre(2, 5));
  EXPECT_THAT(rows("pass_filter in ('minimal', 'nothing')"), ElementsAre(2, 5));
  EXPECT_THAT(rows("pass_filter == 'nothing'"), ElementsAre());
}

TEST_F(SelectionTest, OrderedLevelsCompareByPosition) {
  EXPECT_THAT(rows("stage > 'low'"), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(rows("stage <= \"mid\""), ElementsAre(0, 1, 3));
  EXPECT_THAT(rows("stage == 'high'"), ElementsAre(2, 5));
  EXPECT_THAT(complaint("stage < 'top'"), HasSubstr("has no level \"top\" to compare with"));
}

TEST_F(SelectionTest, NumericLevelsCompareAsNumbers) {
  EXPECT_THAT(rows("dose >= 0.5"), ElementsAre(1, 2, 3));
  EXPECT_THAT(rows("dose == 5"), ElementsAre(2));
  EXPECT_THAT(rows("dose != 5"), ElementsAre(0, 1, 3, 5));
}

TEST_F(SelectionTest, OrderedNumbersCompareByPositionWhereTheyAreNotSorted) {
  EXPECT_THAT(rows("step > 3"), ElementsAre(1, 2, 3));  // levels 3, 1, 2
  EXPECT_THAT(rows("step == 3"), ElementsAre(0, 5));
  EXPECT_THAT(complaint("step > 7"), HasSubstr("has no level 7 to compare with"));
}

TEST_F(SelectionTest, IntegersCompareExactly) {
  EXPECT_THAT(rows("n_counts >= 1000"), ElementsAre(1, 2, 5));
  EXPECT_THAT(rows("n_counts == 9007199254740993"), ElementsAre(2));
  EXPECT_THAT(rows("n_counts == 9007199254740992"), ElementsAre());
  EXPECT_THAT(rows("n_counts > 99.5 and n_counts < 1e3"), ElementsAre(0));
  EXPECT_THAT(rows("n_counts < -4.5"), ElementsAre(3));
  EXPECT_THAT(rows("n_counts < 1e300"), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(SelectionTest, MissingValuesAreSelectedByIsNullAlone) {
  EXPECT_THAT(rows("score != 0.5"), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(rows("not score == 0.5"), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(rows("score is null"), ElementsAre(1));
  EXPECT_THAT(rows("age is not null"), ElementsAre(0, 1, 2, 5));
  EXPECT_THAT(rows("age == 1"), ElementsAre());
  EXPECT_THAT(rows("age not in (10, 20)"), ElementsAre(2, 5));
  EXPECT_THAT(rows("pass_filter is null"), ElementsAre(4));
  EXPECT_THAT(rows("name is null"), ElementsAre());
  EXPECT_THAT(rows("score > 0 or flag == true"), ElementsAre(0, 2, 3, 4));
}

TEST_F(SelectionTest, BooleansCompareWithTrueAndOne) {
  EXPECT_THAT(rows("flag == true"), ElementsAre(0, 2, 4));
  EXPECT_THAT(rows("flag == False"), ElementsAre(1, 3, 5));
  EXPECT_THAT(rows("flag == 1"), ElementsAre(0, 2, 4));
  EXPECT_THAT(complaint("flag > true"), HasSubstr("only be asked for with == and !="));
}

TEST_F(SelectionTest, ABooleanColumnAloneIsACondition) {
  EXPECT_THAT(rows("flag"), ElementsAre(0, 2, 4));
  EXPECT_THAT(rows("not flag and n_counts > 0"), ElementsAre(1, 5));
  EXPECT_THAT(rows("doublet or (flag)"), ElementsAre(0, 2, 4));
  EXPECT_THAT(rows("not doublet"), ElementsAre(1, 5));  // unknown in 2 and 3
  EXPECT_THAT(complaint("n_counts and flag"),
              HasSubstr("is int64, compared with true\n  n_counts and flag\n  ^"));
}

TEST_F(SelectionTest, TextMayHaveAnyCharacter) {
  EXPECT_THAT(rows("name == \"Zürich\""), ElementsAre(1));
  EXPECT_THAT(rows(R"(name == "quote\"d")"), ElementsAre(2));
  EXPECT_THAT(rows(R"(name == 'quote"d')"), ElementsAre(2));
  EXPECT_THAT(rows(R"(name == "tab\tbed")"), ElementsAre(5));
  EXPECT_THAT(rows("name == ''"), ElementsAre(3));
  EXPECT_THAT(rows("name < 'a'"), ElementsAre(1, 3));
}

TEST_F(SelectionTest, AndBindsTighterThanOrAndNotTighterStill) {
  EXPECT_THAT(rows("flag == true or flag == false and n_counts > 1999"), ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(rows("(flag == true or flag == false) and n_counts > 1999"), ElementsAre(1, 2));
  EXPECT_THAT(rows("not flag == true and n_counts > 0"), ElementsAre(1, 5));
  EXPECT_THAT(rows("not (flag == true and n_counts > 0)"), ElementsAre(1, 3, 4, 5));
}

TEST_F(SelectionTest, OddNamesGoInBackticks) {
  EXPECT_THAT(rows("`NUM.SNPS` > 4"), ElementsAre(4, 5));
  EXPECT_THAT(rows("`n_counts` == 100"), ElementsAre(0));
}

TEST_F(SelectionTest, AnyRowsMayBeAskedFor) {
  EXPECT_THAT(rows("flag == true", {2, 5}), ElementsAre(0, 2));
  EXPECT_THAT(rows("flag == true and stage > 'low'", {3, 3}), ElementsAre());
}

TEST_F(SelectionTest, ColumnsAreListedOnce) {
  EXPECT_THAT(Selection("b > 1 and a > 1 or not (b < 5)").columns(), ElementsAre("b", "a"));
}

TEST_F(SelectionTest, AWrongColumnIsShownWithTheNearest) {
  EXPECT_EQ(complaint("n_counts > 5 and pass_filtr == \"full\"", Error::Kind::missing),
            "column 'pass_filtr' is not in " + table().location() +
                "; nearest: pass_filter\n"
                "  n_counts > 5 and pass_filtr == \"full\"\n"
                "                   ^");
  EXPECT_THAT(complaint("completely_else > 1", Error::Kind::missing),
              HasSubstr("; it has n_counts, score, NUM.SNPS, name, pass_filter"));
  EXPECT_THROW(rows("pass_filtr == \"full\""), Error);
}

TEST_F(SelectionTest, TypesMustFit) {
  EXPECT_EQ(complaint("n_counts == \"many\""), table().location() +
                                                   ": column 'n_counts' is int64, compared with "
                                                   "\"many\"\n"
                                                   "  n_counts == \"many\"\n"
                                                   "              ^");
  EXPECT_THAT(complaint("pass_filter in ('full', 3)"),
              HasSubstr("is a categorical of text, compared with 3\n"
                        "  pass_filter in ('full', 3)\n"
                        "                          ^"));
  EXPECT_THAT(complaint("pass_filter == true"), HasSubstr("compared with true"));
  EXPECT_THAT(complaint("n_counts == true"), HasSubstr("compared with true"));
  EXPECT_THAT(complaint("pass_filter < 'full'"), HasSubstr("levels have no order"));
}

TEST_F(SelectionTest, AnUnknownLevelIsOnlyWarnedOf) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(complaint("pass_filter == 'ful'"), "");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("column 'pass_filter' has no level \"ful\"; nearest: full"));
}

TEST(SelectionSyntax, ACaretShowsWhere) {
  EXPECT_EQ(syntax_error("a == \"x\" adn b > 1"),
            "expected 'and', 'or' or the end, found 'adn'\n"
            "  a == \"x\" adn b > 1\n"
            "           ^");
}

TEST(SelectionSyntax, TheCaretCountsCharactersNotBytes) {
  EXPECT_EQ(syntax_error("größe == 'é' & b"),
            "conditions are joined with 'and'\n"
            "  größe == 'é' & b\n"
            "               ^");
}

TEST(SelectionSyntax, LineBreaksAreShownAsSpaces) {
  EXPECT_EQ(syntax_error("a > 1\nand"),
            "expected a column, found the end\n"
            "  a > 1 and\n"
            "           ^");
}

TEST(SelectionSyntax, CommonMistakesGetAnAnswer) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"", "the selection is empty"},
      {" \t ", "the selection is empty"},
      {"a = 1", "equality is written =="},
      {"a == 1 & b == 2", "joined with 'and'"},
      {"a == 1 || b == 2", "joined with 'or'"},
      {"~(a == 1)", "negation is written 'not'"},
      {"a == full", "text is written in quotes: \"full\""},
      {"a == “full”", "typographic quotes"},
      {"a == null", "'is null'"},
      {"a == \"full", "this text is not closed"},
      {"a == 'x\\", "unknown escape"},
      {R"(a == "\q")", "unknown escape"},
      {"`a == 1", "this backtick is not closed"},
      {"`` == 1", "no column name between the backticks"},
      {"a b", "expected a comparison"},
      {"a ==", "expected a text, a number, true or false, found the end"},
      {"a is", "expected 'null' or 'not null'"},
      {"a is not 3", "expected 'null', found '3'"},
      {"a not 3", "expected 'in', found '3'"},
      {"a in 3", "expected '('"},
      {"a in ()", "expected a text, a number, true or false, found ')'"},
      {"a in (1", "expected ',' or ')', found the end"},
      {"a in (1]", "expected ',' or ')', found ']'"},
      {"(a == 1", "expected 'and', 'or' or ')', found the end"},
      {"a == 1)", "expected 'and', 'or' or the end, found ')'"},
      {"1 < a", "expected a column, found '1'"},
      {"1 < a < 2", "expected a column, found '1'"},
      {"a < 1 < 2", "expected 'and', 'or' or the end, found '<'"},
      {"and == 1", "expected a column, found 'and'"},
      {"a == 1_000", "does not belong to a number"},
      {"a == 0x10", "does not belong to a number"},
      {"a == 1.2.3", "does not belong to a number"},
      {"a == 1e", "the number ends in its exponent"},
      {"a == 1e999", "out of range"},
      {"a.b == 1", "backticks"},
      {"a == -", "unexpected character '-'"},
      {"a == \"x\" \"y\"", "found the text \"y\""},
  };
  for (const auto& [expression, answer] : mistakes) {
    EXPECT_THAT(syntax_error(expression), HasSubstr(answer)) << expression;
  }
}

TEST(SelectionSyntax, NestingIsBoundedAndChainsAreNot) {
  const auto nested = [](std::size_t n) {
    return std::string(n, '(') + "a == 1" + std::string(n, ')');
  };
  EXPECT_NO_THROW(Selection(nested(99)));
  EXPECT_THAT(syntax_error(nested(1'000'000)), HasSubstr("nested deeper than 100 levels"));
  std::string chain = "a == 1";
  for (int i = 0; i < 20'000; ++i) chain += " or a == 1";
  EXPECT_THAT(Selection(chain).columns(), ElementsAre("a"));
  std::string negations;
  for (int i = 0; i < 1000; ++i) negations += "not ";
  EXPECT_THAT(syntax_error(negations + "a == 1"), HasSubstr("nested deeper"));
}

TEST(SelectionSyntax, NumbersMayBeSignedAndFractional) {
  for (const char* number :
       {"1", "-1", "+1", ".5", "5.", "1e3", "-1.5E-3", "9223372036854775808"}) {
    EXPECT_NO_THROW(Selection(std::string("a == ") + number)) << number;
  }
}

TEST(SelectionSyntax, TheTextIsKeptAsWritten) { EXPECT_EQ(Selection(" a==1 ").text(), " a==1 "); }

}  // namespace
}  // namespace cellmill
