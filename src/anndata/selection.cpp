#include "cellmill/anndata/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <compare>
#include <map>
#include <string_view>

#include "anndata/selection_check.hpp"
#include "anndata/selection_syntax.hpp"

namespace cellmill {
namespace {

/// Three values, as in SQL: a comparison with a missing value is unknown, and so is its negation.
/// In this order `and` is the least of its parts and `or` the greatest.
enum class Truth : std::uint8_t { no, unknown, yes };
using Truths = std::vector<Truth>;

Truth truth_of(bool value) { return value ? Truth::yes : Truth::no; }

Truth negation_of(Truth truth) {
  if (truth == Truth::unknown) return truth;
  return truth_of(truth == Truth::no);
}

bool holds(Comparison comparison, std::partial_ordering order) {
  switch (comparison) {
    case Comparison::equal:
      return order == 0;
    case Comparison::not_equal:
      return order != 0;
    case Comparison::less:
      return order < 0;
    case Comparison::less_equal:
      return order <= 0;
    case Comparison::greater:
      return order > 0;
    case Comparison::greater_equal:
      return order >= 0;
  }
  throw std::logic_error("unknown comparison");
}

/// Exact, also where the integer has no double.
std::partial_ordering order_of(std::int64_t value, double wanted) {
  if (wanted >= 0x1p63) return std::partial_ordering::less;
  if (wanted < -0x1p63) return std::partial_ordering::greater;
  const auto whole = static_cast<std::int64_t>(wanted);
  if (value != whole) return value <=> whole;
  return 0.0 <=> wanted - static_cast<double>(whole);
}
std::partial_ordering order_of(std::int64_t value, std::int64_t wanted) { return value <=> wanted; }
std::partial_ordering order_of(double value, double wanted) { return value <=> wanted; }
std::partial_ordering order_of(double value, std::int64_t wanted) {
  return 0 <=> order_of(wanted, value);
}

/// Text is compared byte by byte, which for UTF-8 is by code point. The types fit: they were
/// checked.
std::partial_ordering order_of(std::string_view value, const Literal& literal) {
  return value <=> std::string_view(std::get<std::string>(literal.value));
}
template <class Number>
std::partial_ordering order_of(Number value, const Literal& literal) {
  if (const auto* flag = std::get_if<bool>(&literal.value)) {
    return order_of(value, static_cast<std::int64_t>(*flag));
  }
  if (const auto* integer = std::get_if<std::int64_t>(&literal.value)) {
    return order_of(value, *integer);
  }
  return order_of(value, std::get<double>(literal.value));
}

/// \param order_with how the value compares with a literal
template <class OrderWith>
bool satisfies(const SelectionNode& condition, const OrderWith& order_with) {
  if (condition.kind == SelectionNode::Kind::compare) {
    return holds(condition.comparison, order_with(condition.literals.front()));
  }
  return std::any_of(condition.literals.begin(), condition.literals.end(),
                     [&](const Literal& literal) { return order_with(literal) == 0; });
}

/// One evaluation: a table, some of its rows, and the columns read so far.
class Evaluation {
 public:
  Evaluation(const DataFrame& table, Range rows, const std::string& expression)
      : table_(table), rows_(rows), expression_(expression) {}

  Truths operator()(const SelectionNode& node) {
    switch (node.kind) {
      case SelectionNode::Kind::negation: {
        Truths truths = (*this)(node.children.front());
        std::transform(truths.begin(), truths.end(), truths.begin(), negation_of);
        return truths;
      }
      case SelectionNode::Kind::conjunction:
        return combined(node, [](Truth a, Truth b) { return std::min(a, b); });
      case SelectionNode::Kind::disjunction:
        return combined(node, [](Truth a, Truth b) { return std::max(a, b); });
      default:
        check_condition(node, table_, expression_);
        return of_column(node, table_.column(node.column), rows_of(node.column));
    }
  }

 private:
  template <class Combine>
  Truths combined(const SelectionNode& node, Combine combine) {
    Truths all = (*this)(node.children.front());
    for (auto child = node.children.begin() + 1; child != node.children.end(); ++child) {
      const Truths truths = (*this)(*child);
      std::transform(all.begin(), all.end(), truths.begin(), all.begin(), combine);
    }
    return all;
  }

  const ColumnRows& rows_of(const std::string& column) {
    const auto found = read_.find(column);
    return found != read_.end() ? found->second
                                : read_.emplace(column, table_.read(column, rows_)).first->second;
  }

  [[nodiscard]] Truths of_column(const SelectionNode& condition, const ColumnInfo& column,
                                 const ColumnRows& rows) const {
    if (column.kind == ColumnKind::categorical) {
      const Truths by_level = of_levels(condition, column);
      const Truth of_missing =
          condition.kind == SelectionNode::Kind::is_null ? Truth::yes : Truth::unknown;
      return each_row([&](std::size_t i) {
        return rows.codes[i] < 0 ? of_missing : by_level[level_of(rows.codes[i], by_level, column)];
      });
    }
    const auto missing = [&](std::size_t i) {
      if (!rows.missing.empty()) return static_cast<bool>(rows.missing[i]);
      return !rows.numbers.empty() && std::isnan(rows.numbers[i]);
    };
    if (condition.kind == SelectionNode::Kind::is_null) {
      return each_row([&](std::size_t i) { return truth_of(missing(i)); });
    }
    const auto compared = [&](const auto& value) {
      return each_row([&](std::size_t i) {
        if (missing(i)) return Truth::unknown;
        return truth_of(satisfies(
            condition, [&](const Literal& literal) { return order_of(value(i), literal); }));
      });
    };
    if (!rows.integers.empty()) return compared([&](std::size_t i) { return rows.integers[i]; });
    if (!rows.numbers.empty()) return compared([&](std::size_t i) { return rows.numbers[i]; });
    return compared([&](std::size_t i) { return rows.strings[static_cast<std::int64_t>(i)]; });
  }

  template <class OfRow>
  [[nodiscard]] Truths each_row(const OfRow& of_row) const {
    Truths truths(static_cast<std::size_t>(rows_.size()));
    for (std::size_t i = 0; i < truths.size(); ++i) truths[i] = of_row(i);
    return truths;
  }

  [[nodiscard]] std::size_t level_of(std::int32_t code, const Truths& by_level,
                                     const ColumnInfo& column) const {
    const auto level = static_cast<std::size_t>(code);
    if (level < by_level.size()) return level;
    throw input_error(fmt::format("{}/{}: code {} found, but there are {} categories",
                                  table_.location(), column.name, code, by_level.size()));
  }

  /// The condition's truth for each level of a categorical column.
  [[nodiscard]] Truths of_levels(const SelectionNode& condition, const ColumnInfo& column) const {
    const Strings texts = table_.levels(column.name);
    const bool text = column.dtype == DType::string;
    const std::vector<double> numbers =
        text ? std::vector<double>() : table_.numeric_levels(column.name);
    Truths truths(static_cast<std::size_t>(texts.size()), Truth::no);
    if (condition.kind == SelectionNode::Kind::is_null) return truths;

    const auto order_with = [&](std::size_t level, const Literal& literal) {
      return text ? order_of(texts[static_cast<std::int64_t>(level)], literal)
                  : order_of(numbers[level], literal);
    };
    const bool by_position = column.ordered && asks_for_order(condition) &&
                             (text || !std::is_sorted(numbers.begin(), numbers.end()));
    std::size_t wanted = truths.size();
    if (by_position) {
      wanted = 0;
      while (wanted < truths.size() && order_with(wanted, condition.literals.front()) != 0) {
        ++wanted;
      }
      if (wanted == truths.size()) fail_unknown_level(condition);
    }
    for (std::size_t level = 0; level < truths.size(); ++level) {
      if (by_position) {
        truths[level] = truth_of(holds(condition.comparison, level <=> wanted));
      } else if (!text && std::isnan(numbers[level])) {
        truths[level] = Truth::unknown;
      } else {
        truths[level] = truth_of(satisfies(
            condition, [&](const Literal& literal) { return order_with(level, literal); }));
      }
    }
    return truths;
  }

  [[noreturn]] void fail_unknown_level(const SelectionNode& condition) const {
    const Literal& literal = condition.literals.front();
    throw selection_error(Error::Kind::input,
                          fmt::format("{}: the ordered column '{}' has no level {} to compare with",
                                      table_.location(), condition.column, literal_text(literal)),
                          expression_, literal.position);
  }

  const DataFrame& table_;
  const Range rows_;
  const std::string& expression_;
  std::map<std::string, ColumnRows> read_;
};

/// Calls `visit` with every condition on a column, in the order they are written.
template <class Visit>
void for_each_condition(const SelectionNode& node, const Visit& visit) {
  for (const SelectionNode& child : node.children) for_each_condition(child, visit);
  if (node.children.empty()) visit(node);
}

}  // namespace

Selection::Selection(const std::string& expression)
    : text_(expression), root_(std::make_unique<SelectionNode>(parse_selection(expression))) {
  for_each_condition(*root_, [this](const SelectionNode& condition) {
    if (std::find(columns_.begin(), columns_.end(), condition.column) == columns_.end()) {
      columns_.push_back(condition.column);
    }
  });
}
Selection::Selection(Selection&&) noexcept = default;
Selection& Selection::operator=(Selection&&) noexcept = default;
Selection::~Selection() = default;

const std::string& Selection::text() const { return text_; }
const std::vector<std::string>& Selection::columns() const { return columns_; }

void Selection::check(const DataFrame& obs) const {
  for_each_condition(*root_, [&](const SelectionNode& condition) {
    check_condition(condition, obs, text_);
    warn_of_unknown_levels(condition, obs);
  });
  // Comparing with a level that an ordered column lacks is found without any row.
  (void)evaluate(obs, {0, 0});
}

std::vector<bool> Selection::evaluate(const DataFrame& obs, Range rows) const {
  const Truths truths = Evaluation(obs, rows, text_)(*root_);
  std::vector<bool> selected(truths.size());
  std::transform(truths.begin(), truths.end(), selected.begin(),
                 [](Truth truth) { return truth == Truth::yes; });
  return selected;
}

}  // namespace cellmill
