#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "anndata/write_encoding.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

ArraySpec row_spec(DType dtype, std::int64_t n_rows, const RowLayout& layout) {
  ArraySpec spec;
  spec.dtype = dtype;
  spec.shape = {n_rows};
  if (layout.chunk_rows > 0) spec.chunk_shape = {layout.chunk_rows};
  if (layout.shard_rows > 0) spec.shard_shape = {layout.shard_rows};
  spec.codec = layout.codec;
  return spec;
}

/// The smallest signed integer whose values number the levels, as pandas has it.
DType codes_dtype(std::int64_t levels) {
  if (levels <= std::numeric_limits<std::int8_t>::max()) return DType::int8;
  if (levels <= std::numeric_limits<std::int16_t>::max()) return DType::int16;
  return DType::int32;
}

/// Values as the elements of an array. \throws Error(input) for one that T can't hold
template <class T, class Values>
std::vector<std::byte> elements_as(const Values& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::byte* to = bytes.data();
  for (const auto value : values) {
    const auto element = static_cast<T>(value);
    if constexpr (std::is_integral_v<T>) {
      if (static_cast<std::remove_const_t<decltype(value)>>(element) != value) {
        throw input_error(fmt::format("{} found, which its type can't hold", value));
      }
    }
    std::memcpy(to, &element, sizeof(T));
    to += sizeof(T);
  }
  return bytes;
}

template <class Values>
std::vector<std::byte> elements_of(DType dtype, const Values& values) {
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return elements_as<std::uint8_t>(values);
    case DType::int8:
      return elements_as<std::int8_t>(values);
    case DType::int16:
      return elements_as<std::int16_t>(values);
    case DType::int32:
      return elements_as<std::int32_t>(values);
    case DType::int64:
      return elements_as<std::int64_t>(values);
    case DType::uint16:
      return elements_as<std::uint16_t>(values);
    case DType::uint32:
      return elements_as<std::uint32_t>(values);
    case DType::uint64:
      return elements_as<std::uint64_t>(values);
    case DType::float32:
      return elements_as<float>(values);
    case DType::float64:
      return elements_as<double>(values);
    case DType::string:
      break;
  }
  throw input_error("strings given, expected numbers");
}

class ArrayColumnWriter final : public ColumnWriter {
 public:
  ArrayColumnWriter(ColumnInfo info, DType element, std::unique_ptr<ArrayWriter> values,
                    std::unique_ptr<ArrayWriter> mask)
      : info_(std::move(info)),
        element_(element),
        values_(std::move(values)),
        mask_(std::move(mask)) {}

  [[nodiscard]] std::int64_t unit_rows() const override { return values_->unit_rows(); }

  void write(std::int64_t first_row, const ColumnRows& rows) override {
    with_context("column " + info_.name, [&] {
      if (element_ == DType::string) {
        values_->write_strings(first_row, rows.strings);
      } else {
        values_->write_rows(first_row, elements(rows));
      }
      if (mask_ != nullptr) write_mask(first_row, rows);
    });
  }

 private:
  [[nodiscard]] std::vector<std::byte> elements(const ColumnRows& rows) const {
    if (info_.kind == ColumnKind::categorical) return elements_of(element_, rows.codes);
    if (is_float(element_)) return elements_of(element_, rows.numbers);
    return elements_of(element_, rows.integers);
  }

  void write_mask(std::int64_t first_row, const ColumnRows& rows) {
    const std::size_t count = element_ == DType::string
                                  ? static_cast<std::size_t>(rows.strings.size())
                                  : rows.integers.size();
    std::vector<std::byte> mask(count);  // nothing is missing if there is no mask
    for (std::size_t i = 0; i < rows.missing.size() && i < count; ++i) {
      mask[i] = std::byte{rows.missing[i]};
    }
    mask_->write_rows(first_row, mask);
  }

  ColumnInfo info_;
  DType element_;
  std::unique_ptr<ArrayWriter> values_;
  std::unique_ptr<ArrayWriter> mask_;
};

/// Numbers that were levels' names, back from text.
template <class T>
std::vector<T> parse_levels(const Strings& levels) {
  std::vector<T> numbers;
  for (std::int64_t i = 0; i < levels.size(); ++i) {
    const std::string_view text = levels[i];
    T number{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size()) {
      throw input_error(fmt::format("level '{}' found, expected a number", text));
    }
    numbers.push_back(number);
  }
  return numbers;
}

void write_levels(Group& group, DType dtype, const Strings& levels) {
  if (dtype == DType::string) return write_texts(group, "categories", levels);
  if (dtype == DType::boolean) {
    std::vector<std::uint8_t> truths;
    for (std::int64_t i = 0; i < levels.size(); ++i) truths.push_back(levels[i] == "True" ? 1 : 0);
    return write_truths(group, "categories", truths);
  }
  ArraySpec spec = row_spec(dtype, levels.size(), {.codec = "none"});
  const std::vector<std::byte> elements =
      is_float(dtype) ? elements_of(dtype, parse_levels<double>(levels))
                      : elements_of(dtype, parse_levels<std::int64_t>(levels));
  create_element(group, "categories", spec)->write_rows(0, elements);
}

std::unique_ptr<ColumnWriter> create_categorical(Group& frame, const ColumnInfo& column,
                                                 std::int64_t n_rows, const Strings& levels,
                                                 const RowLayout& layout) {
  const std::unique_ptr<Group> group = frame.create_group(column.name);
  set_encoding(*group, "", "categorical", "0.2.0");
  group->set_attributes("", {{"ordered", column.ordered}});
  write_levels(*group, column.dtype, levels);
  const DType codes = codes_dtype(levels.size());
  return std::make_unique<ArrayColumnWriter>(
      column, codes, create_element(*group, "codes", row_spec(codes, n_rows, layout)), nullptr);
}

std::unique_ptr<ColumnWriter> create_nullable(Group& frame, const ColumnInfo& column,
                                              const char* encoding, DType element,
                                              std::int64_t n_rows, const RowLayout& layout) {
  const std::unique_ptr<Group> group = frame.create_group(column.name);
  set_encoding(*group, "", encoding, "0.1.0");
  auto values = create_element(*group, "values", row_spec(element, n_rows, layout));
  auto mask = create_element(*group, "mask", row_spec(DType::boolean, n_rows, layout));
  return std::make_unique<ArrayColumnWriter>(column, element, std::move(values), std::move(mask));
}

}  // namespace

std::int64_t frame_chunk_rows(std::int64_t n_rows) {
  constexpr std::int64_t fewest = 16'384;
  constexpr std::int64_t most = 524'288;
  const auto even =
      std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(n_rows / 256, 1)));
  return std::clamp(static_cast<std::int64_t>(even), fewest, most);
}

std::unique_ptr<Group> create_dataframe(Group& parent, const std::string& name,
                                        const std::vector<std::string>& column_order,
                                        const std::string& index_name) {
  check_name(parent, name);
  std::unique_ptr<Group> group = parent.create_group(name);
  set_encoding(*group, "", "dataframe", "0.2.0");
  group->set_attributes("", {{"_index", index_name}, {"column-order", column_order}});
  return group;
}

std::unique_ptr<ArrayWriter> create_index(Group& frame, std::int64_t n_rows,
                                          const RowLayout& layout, const std::string& index_name) {
  return create_element(frame, index_name, row_spec(DType::string, n_rows, layout));
}

std::unique_ptr<ColumnWriter> create_column(Group& frame, const ColumnInfo& column,
                                            std::int64_t n_rows, const Strings& levels,
                                            const RowLayout& layout) {
  check_name(frame, column.name);
  switch (column.kind) {
    case ColumnKind::categorical:
      return create_categorical(frame, column, n_rows, levels, layout);
    case ColumnKind::nullable_integer:
      return create_nullable(frame, column, "nullable-integer", column.dtype, n_rows, layout);
    case ColumnKind::nullable_boolean:
      return create_nullable(frame, column, "nullable-boolean", DType::boolean, n_rows, layout);
    case ColumnKind::nullable_string:
      return create_nullable(frame, column, "nullable-string-array", DType::string, n_rows, layout);
    case ColumnKind::numeric:
    case ColumnKind::boolean:
    case ColumnKind::string: {
      const DType element = column.kind == ColumnKind::string    ? DType::string
                            : column.kind == ColumnKind::boolean ? DType::boolean
                                                                 : column.dtype;
      return std::make_unique<ArrayColumnWriter>(
          column, element, create_element(frame, column.name, row_spec(element, n_rows, layout)),
          nullptr);
    }
    case ColumnKind::unsupported:
      break;
  }
  throw input_error(fmt::format("{}: column '{}' is of a kind that can't be written",
                                frame.location(), column.name));
}

std::unique_ptr<ColumnWriter> open_column(Group& frame, const ColumnInfo& column,
                                          std::int64_t n_levels) {
  const std::string& name = column.name;
  switch (column.kind) {
    case ColumnKind::categorical:
      return std::make_unique<ArrayColumnWriter>(column, codes_dtype(n_levels),
                                                 frame.open_writer(name + "/codes"), nullptr);
    case ColumnKind::nullable_integer:
    case ColumnKind::nullable_boolean:
    case ColumnKind::nullable_string:
      return std::make_unique<ArrayColumnWriter>(column, column.dtype,
                                                 frame.open_writer(name + "/values"),
                                                 frame.open_writer(name + "/mask"));
    default:
      return std::make_unique<ArrayColumnWriter>(column, column.dtype, frame.open_writer(name),
                                                 nullptr);
  }
}

std::unique_ptr<ArrayWriter> open_index(Group& frame, const std::string& index_name) {
  return frame.open_writer(index_name);
}

void write_index(Group& frame, const Strings& names, const std::string& index_name) {
  write_texts(frame, index_name, names);
}

void write_column(Group& frame, const ColumnInfo& column, const ColumnRows& rows,
                  const Strings& levels) {
  const std::size_t count = std::max({rows.numbers.size(), rows.integers.size(), rows.codes.size(),
                                      static_cast<std::size_t>(rows.strings.size())});
  create_column(frame, column, static_cast<std::int64_t>(count), levels, {})->write(0, rows);
}

}  // namespace cellmill
