#include "cellmill/anndata/copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "anndata/plausible_size.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t string_bytes = 32;  // about, of an identifier with its length

std::int64_t row_bytes(DType dtype, const std::vector<std::int64_t>& shape) {
  std::int64_t bytes =
      dtype == DType::string ? string_bytes : static_cast<std::int64_t>(dtype_size(dtype));
  for (std::size_t axis = 1; axis < shape.size(); ++axis) bytes *= shape[axis];
  return std::max<std::int64_t>(bytes, 1);
}

/// Of a chunk as it is read; 0 of strings, which say themselves how long they are.
std::int64_t stored_chunk_bytes(const ArrayInfo& info) {
  if (info.dtype == DType::string) return 0;
  return chunk_elements(info) * static_cast<std::int64_t>(dtype_size(info.dtype));
}

std::int64_t chunk_bytes(const CopyLayout& layout, StoreFormat format) {
  if (layout.chunk_bytes > 0) return layout.chunk_bytes;
  return format == StoreFormat::zarr2 ? std::int64_t{4} << 20 : std::int64_t{256} << 10;
}

class Copier {
 public:
  Copier(const CopyLayout& layout, Arena& arena, const std::function<void(std::int64_t)>& on_bytes)
      : layout_(layout), arena_(arena), on_bytes_(on_bytes) {}

  void copy_members(const Group& from, Group& to) {
    for (const std::string& name : from.keys()) {
      if (from.kind(name) == NodeKind::group) {
        const auto member = from.group(name);
        const auto copied = to.create_group(name);
        set_attributes(*member, "", *copied, "");
        copy_members(*member, *copied);
      } else {
        copy_array(from, to, name);
      }
    }
  }

  static void set_attributes(const Group& from, const std::string& name, Group& to,
                             const std::string& to_name) {
    const nlohmann::json attributes = from.attributes(name);
    if (!attributes.empty()) to.set_attributes(to_name, attributes);
  }

 private:
  void copy_array(const Group& from, Group& to, const std::string& name) {
    const nlohmann::json attributes = from.attributes(name);
    if (attributes.value("encoding-type", "") == "null") {
      to.create_null(name);
    } else {
      copy_content(from, to, name);
    }
    if (!attributes.empty()) to.set_attributes(name, attributes);
  }

  void copy_content(const Group& from, Group& to, const std::string& name) {
    const auto array = from.array(name);
    const ArrayInfo& info = array->info();
    if (!info.fields.empty()) return copy_table(from, to, name, info);
    expect_plausible_size(*array);
    ArraySpec spec = rows_spec(info.dtype, info.shape, layout_, to.format());
    spec.time = info.time;
    if (!info.time.empty() && to.format() == StoreFormat::hdf5) {
      log_warning(
          fmt::format("{}: dates and durations become plain numbers, because HDF5 has no "
                      "type for {}",
                      info.location, info.time));
    }
    const auto writer = to.create_array(name, spec);
    copy_rows(*array, *writer);
  }

  /// Tables in one array are small things of uns: whole, column by column.
  static void copy_table(const Group& from, Group& to, const std::string& name,
                         const ArrayInfo& info) {
    const Range all{0, info.shape.empty() ? 1 : info.shape[0]};
    std::vector<TableColumn> columns;
    for (const std::string& field : info.fields) {
      const auto array = from.field(name, field);
      TableColumn& column = columns.emplace_back();
      column.name = field;
      column.dtype = array->info().dtype;
      if (column.dtype == DType::string) {
        column.strings = array->read_strings(all);
      } else {
        column.values = read_row_bytes(*array, all);
      }
    }
    to.create_table(name, columns);
  }

  /// Blocks of rows that the writer can take one by one, as many at once as memory allows.
  void copy_rows(const Array& array, ArrayWriter& writer) {
    const ArrayInfo& info = array.info();
    const std::int64_t rows = info.shape.empty() ? 1 : info.shape[0];
    if (element_count(info) == 0) return;
    constexpr std::int64_t block_bytes = std::int64_t{1} << 20;
    const std::int64_t unit = writer.unit_rows();
    const std::int64_t block =
        std::max<std::int64_t>(block_bytes / row_bytes(info.dtype, info.shape) / unit, 1) * unit;
    const std::int64_t blocks = (rows + block - 1) / block;
    const std::int64_t chunk = stored_chunk_bytes(info);
    if (chunk > layout_.memory) {
      throw input_error(
          fmt::format("{}: chunks of {} declared, at most {} are read with this much "
                      "memory",
                      info.location, human_bytes(chunk), human_bytes(layout_.memory)));
    }
    // A block is held decoded and encoded, and so is the chunk that it comes from.
    const std::int64_t cost =
        2 * (std::min(block, rows) * row_bytes(info.dtype, info.shape) + chunk);
    if (cost > layout_.memory) {
      throw input_error(fmt::format(
          "{}: writing it in pieces of {} takes {}, at most {} are there; smaller "
          "--shard-size and --chunk-size take less, or raise --memory",
          info.location, human_bytes(std::min(block, rows) * row_bytes(info.dtype, info.shape)),
          human_bytes(cost), human_bytes(layout_.memory)));
    }
    const std::int64_t at_once =
        std::clamp<std::int64_t>(layout_.memory / cost, 1, arena_.threads());
    for (std::int64_t first = 0; first < blocks; first += at_once) {
      arena_.for_each(std::min(at_once, blocks - first), [&](std::int64_t i) {
        const std::int64_t begin = (first + i) * block;
        copy_block(array, writer, {begin, std::min(begin + block, rows)});
      });
    }
  }

  void copy_block(const Array& array, ArrayWriter& writer, Range rows) {
    if (stop_requested()) throw stopped_error("copying was stopped");
    std::int64_t bytes = 0;
    if (array.info().dtype == DType::string) {
      const Strings strings = array.read_strings(rows);
      writer.write_strings(rows.begin, strings);
      bytes = strings.bytes();
    } else {
      const RawVector<std::byte> elements = read_row_bytes(array, rows);
      writer.write_rows(rows.begin, elements);
      bytes = static_cast<std::int64_t>(elements.size());
    }
    if (!on_bytes_) return;
    const std::lock_guard lock(telling_);
    on_bytes_(bytes);
  }

  const CopyLayout& layout_;
  Arena& arena_;
  const std::function<void(std::int64_t)>& on_bytes_;
  std::mutex telling_;
};

}  // namespace

ArraySpec rows_spec(DType dtype, const std::vector<std::int64_t>& shape, const CopyLayout& layout,
                    StoreFormat format) {
  ArraySpec spec;
  spec.dtype = dtype;
  spec.shape = shape;
  spec.codec = layout.codec;
  spec.level = layout.level;
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (format == StoreFormat::hdf5) {
    // Strings' characters lie where no filter reaches, and what is empty has no chunks.
    if (dtype == DType::string || shape.empty() || empty) spec.codec = "none";
    if (spec.codec == "zstd" || spec.codec == "lz4") spec.codec = "gzip";
  }
  if (shape.empty() || empty) return spec;
  const std::int64_t one_row = row_bytes(dtype, shape);
  const std::int64_t chunk_rows =
      std::clamp<std::int64_t>(chunk_bytes(layout, format) / one_row, 1, shape[0]);
  spec.chunk_shape = shape;
  spec.chunk_shape[0] = chunk_rows;
  const std::int64_t chunks = (shape[0] + chunk_rows - 1) / chunk_rows;
  const std::int64_t in_shard = std::min(layout.shard_bytes / (chunk_rows * one_row), chunks);
  if (format == StoreFormat::zarr3 && in_shard > 1) {
    spec.shard_shape = spec.chunk_shape;
    spec.shard_shape[0] = in_shard * chunk_rows;
  }
  return spec;
}

void copy_group(const Group& from, Group& to, const CopyLayout& layout, Arena& arena,
                const std::function<void(std::int64_t)>& on_bytes) {
  Copier copier(layout, arena, on_bytes);
  Copier::set_attributes(from, "", to, "");
  copier.copy_members(from, to);
}

}  // namespace cellmill
