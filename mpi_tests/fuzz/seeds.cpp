#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cellmill/storage/group.hpp"
#include "cellmill/storage/packed_rows.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_metadata.hpp"
#include "storage/zarr_shards.hpp"
#include "storage/zarr_text.hpp"
#include "zip_maker.hpp"

// Makes what the fuzz targets start from: small sound inputs, in FOLDER/<target>/.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Corpus {
 public:
  explicit Corpus(fs::path folder) : folder_(std::move(folder)) {}
  void add(const std::string& target, const std::string& bytes) {
    const fs::path folder = folder_ / target;
    fs::create_directories(folder);
    std::ofstream(folder / ("seed" + std::to_string(count_++)), std::ios::binary) << bytes;
  }

 private:
  fs::path folder_;
  int count_ = 0;
};

std::string head(int first, std::size_t number) {
  return {static_cast<char>(first), static_cast<char>(number & 0xFF),
          static_cast<char>(number >> 8 & 0xFF)};
}

void add_codecs(Corpus& corpus, std::span<const std::byte> bytes) {
  const auto add = [&](int codec, const Bytes& encoded) {
    corpus.add("fuzz_codecs", head(codec, bytes.size()) + text(encoded));
  };
  const Bytes zlib = deflate_zlib(bytes, 6);
  add(0, zlib);
  add(1, deflate_gzip(bytes, 6));
  add(2, Bytes(zlib.begin() + 2, zlib.end() - 4));
  add(3, zstd_encode(bytes, 3));
  for (const char* inner : {"lz4", "blosclz", "lz4hc", "zlib", "zstd"}) {
    for (const auto shuffle : {BloscShuffle::none, BloscShuffle::byte, BloscShuffle::bit}) {
      add(4, blosc_encode(bytes, 4, inner, 5, shuffle));
    }
  }
  // One literal run each: a token of its length, and a control byte.
  Bytes lz4 = {std::byte{0x40}};
  Bytes sized = {std::byte{4}, std::byte{}, std::byte{}, std::byte{}, std::byte{0x40}};
  Bytes lzf = {std::byte{3}};
  for (Bytes* block : {&lz4, &sized, &lzf}) {
    block->insert(block->end(), bytes.begin(), bytes.begin() + 4);
  }
  corpus.add("fuzz_codecs", head(5, 4) + text(lz4));
  corpus.add("fuzz_codecs", head(6, 4) + text(sized));
  corpus.add("fuzz_codecs", head(7, 4) + text(lzf));
  for (const int codec : {8, 9, 10, 11 * 4 + 10}) add(codec, Bytes(bytes.begin(), bytes.end()));
}

/// Parts of what the codecs make, of several blocks where they have such.
void add_parts(Corpus& corpus, std::span<const std::byte> bytes) {
  Bytes longer;
  for (int times = 0; times < 8; ++times) longer.insert(longer.end(), bytes.begin(), bytes.end());
  const auto add = [&](int codec, const Bytes& encoded) {
    for (const std::size_t begin : {0, 700}) {
      corpus.add("fuzz_parts", head(codec, longer.size()) + head(0, begin).substr(1) +
                                   head(0, 1000).substr(1) + text(encoded));
    }
  };
  for (const char* inner : {"lz4", "zstd", "blosclz", "zlib"}) {
    for (const auto shuffle : {BloscShuffle::none, BloscShuffle::byte, BloscShuffle::bit}) {
      add(0, blosc_encode(longer, 4, inner, 5, shuffle, 1024));
    }
  }
  add(1, deflate_zlib(longer, 6));
  Bytes members = deflate_gzip(std::span(longer).first(500), 6);
  const Bytes second = deflate_gzip(std::span(longer).subspan(500), 6);
  members.insert(members.end(), second.begin(), second.end());
  add(2, members);
  constexpr std::size_t run = 32;
  Bytes lzf;
  for (std::size_t at = 0; at < longer.size(); at += run) {
    lzf.push_back(std::byte{run - 1});
    lzf.insert(lzf.end(), longer.begin() + static_cast<std::ptrdiff_t>(at),
               longer.begin() + static_cast<std::ptrdiff_t>(at + run));
  }
  add(3, lzf);
}

/// A sound h5ad file is made of zeros; here it differs in one place. And chunks of the three arrays
/// of X, whose first bytes are these.
void add_h5ad(Corpus& corpus, std::span<const std::byte> bytes) {
  constexpr int places = 80;
  constexpr std::size_t indptr = 22;
  corpus.add("fuzz_h5ad", std::string(1, '\0'));
  for (int place = 0; place < places; ++place) {
    for (const int value : {1, 2, 3, 4, 8, 15, 16, 128, 201}) {
      std::string input(places, '\0');
      input[static_cast<std::size_t>(place)] = static_cast<char>(value);
      corpus.add("fuzz_h5ad", input);
    }
  }
  for (const std::size_t array : {indptr, indptr + 3, indptr + 6}) {
    const std::string before = std::string(array, '\0') + std::string("\x10\0", 2);
    const Bytes packed = deflate_zlib(bytes.first(32), 4);
    corpus.add("fuzz_h5ad", before + head(0, packed.size()) + text(packed));
    corpus.add("fuzz_h5ad", before + head(1, 32) + text(bytes.first(32)));
  }
}

void add_array(Corpus& corpus, const json& document, const std::string& chunk) {
  const std::string first(1, document["zarr_format"] == 2 ? '\0' : '\1');
  const std::string written = document.dump();
  corpus.add("fuzz_metadata", first + written);
  corpus.add("fuzz_chunk", first + written + '\0' + chunk);
}

void add_arrays(Corpus& corpus, std::span<const std::byte> bytes) {
  for (const StoreFormat format : {StoreFormat::zarr2, StoreFormat::zarr3}) {
    const bool v2 = format == StoreFormat::zarr2;
    for (const char* codec : {"none", "gzip", "zstd", "lz4", "packed_rows"}) {
      const bool packed = codec == std::string("packed_rows");
      if (packed && v2) continue;
      ArraySpec spec;
      spec.dtype = DType::int32;
      spec.shape = {static_cast<std::int64_t>(bytes.size() / 4)};
      spec.codec = codec;
      const ZarrMetadata numbers = spec_metadata(spec, format);
      const std::array one_row = {spec.shape[0]};
      const Bytes chunk = encode_bytes(
          numbers.codecs, packed ? pack_chunk(PackedKind::counts, DType::int32, bytes, 0, one_row)
                                 : Bytes(bytes.begin(), bytes.end()));
      add_array(corpus, v2 ? zarr2_document(numbers) : zarr3_document(numbers), text(chunk));
      if (!v2) {
        spec.shard_shape = spec.shape;
        spec.chunk_shape = spec.shape;
        const std::vector<std::optional<Bytes>> chunks = {chunk};
        add_array(corpus, zarr3_document(spec_metadata(spec, format)),
                  text(assemble_shard(chunks)));
        spec.shard_shape.clear();
      }
      if (packed) continue;
      spec.dtype = DType::string;
      spec.shape = {3};
      spec.chunk_shape = {};
      const ZarrMetadata strings = spec_metadata(spec, format);
      const std::vector<std::string> values = {"a", "", "細胞"};
      add_array(corpus, v2 ? zarr2_document(strings) : zarr3_document(strings),
                text(encode_bytes(strings.codecs, encode_vlen_utf8(Strings(values), 0, 3))));
    }
  }
  // What is only read.
  json other = json::parse(R"({"zarr_format": 2, "shape": [4, 2], "chunks": [2, 2], "order": "F",
    "dtype": ">f2", "fill_value": "NaN", "compressor": null, "dimension_separator": "/",
    "filters": [{"id": "shuffle", "elementsize": 2}, {"id": "crc32"}, {"id": "adler32"}]})");
  add_array(corpus, other, "12345678");
  other = json::parse(R"({"zarr_format": 2, "shape": [3], "chunks": [2], "order": "C",
    "dtype": [["s", "|S2"], ["u", ">U1"], ["p", "<i2", [2]], ["t", "<M8[ns]"], ["h", "<f2"]],
    "fill_value": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "compressor": null, "filters": null})");
  add_array(corpus, other, std::string(40, '\0'));
  other = json::parse(R"({"zarr_format": 3, "node_type": "array", "shape": [2, 2],
    "data_type": {"name": "struct", "configuration": {"fields": [
      {"name": "x", "data_type": "float32"},
      {"name": "b", "data_type": {"name": "null_terminated_bytes",
                                  "configuration": {"length_bytes": 4}}}]}},
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}},
    "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
    "fill_value": {"x": "0x7fc00000", "b": "YWI="},
    "codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}},
               {"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}]})");
  add_array(corpus, other, std::string(36, '\0'));
  other["data_type"] = "int64";
  other["fill_value"] = -1;
  other["codecs"] = json::parse(R"([{"name": "sharding_indexed", "configuration": {
    "chunk_shape": [1, 2], "index_location": "start",
    "codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, {"name": "bytes"}],
    "index_codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]}}])");
  add_array(corpus, other, std::string(32, '\377') + std::string(32, 'x'));
}

/// Chunks of each kind with short and long rows, large gaps and counts; and elements.
void add_packed_rows(Corpus& corpus) {
  std::vector<std::int32_t> columns;
  std::vector<std::uint16_t> counts;
  std::vector<std::int64_t> ends;
  for (std::int32_t row = 0; row < 5; ++row) {
    for (std::int32_t i = 0; i < 40 * row; ++i) {
      columns.push_back(i * (row + 1) + (i > 30 ? 20'000 * row : 0) + i * i / 16);
      counts.push_back(static_cast<std::uint16_t>(i % 37 == 0 ? 900 + i : 1 + i % 5));
    }
    ends.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const auto n = columns.size();
  const auto add = [&](int type, DType dtype, PackedKind kind,
                       std::span<const std::byte> elements) {
    const std::string numbers = head(2 * type, n) + std::string(2, '\0');
    corpus.add("fuzz_packed_rows", numbers + text(pack_chunk(kind, dtype, elements, 0, ends)));
    corpus.add("fuzz_packed_rows",
               head(2 * type + 1, static_cast<std::size_t>(kind) + 256 * 30) +
                   text(elements.first(std::min<std::size_t>(elements.size(), 400))));
  };
  for (const PackedKind kind : {PackedKind::raw, PackedKind::indices, PackedKind::counts}) {
    add(1, DType::uint16, kind, std::as_bytes(std::span(counts)));
    add(2, DType::int32, kind, std::as_bytes(std::span(columns)));
  }
}

void add_the_rest(Corpus& corpus) {
  const std::vector<std::optional<Bytes>> chunks = {Bytes(8), std::nullopt, Bytes(3)};
  const Bytes shard = assemble_shard(chunks);
  corpus.add("fuzz_shard_index", head(1, shard.size()) + text(shard).substr(11));
  corpus.add("fuzz_shard_index", head(2, 200) + std::string(32, '\0'));
  const std::vector<std::string> values = {"a", "", "細胞"};
  corpus.add("fuzz_text", std::string("\0\0\3", 3) + text(encode_vlen_utf8(Strings(values), 0, 3)));
  corpus.add("fuzz_text", std::string("\1\0\0a\0\0\0\xac\xf9\1\0", 11));
  corpus.add("fuzz_text", std::string("\2\0\0ab\0", 6));
  corpus.add("fuzz_text", std::string("\3\0\0YWI=", 7));
  ZipMaker zip;
  zip.add(ZipMaker::stored("zarr.json", R"({"zarr_format": 3, "node_type": "group"})"));
  zip.add(ZipMaker::deflated("a/b", std::string(500, 'x')));
  zip.add(ZipMaker::stored("a/b", "again"));
  corpus.add("fuzz_zip", zip.bytes());
  ZipMaker::Member large = ZipMaker::deflated("c/d/e", "hello");
  large.zip64 = true;
  zip.add(large);
  corpus.add("fuzz_zip", zip.bytes(true));
  corpus.add("fuzz_zip", zip.bytes(false, 0, "comment"));
}

}  // namespace
}  // namespace cellmill

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("seeds FOLDER\n", stderr);
    return 2;
  }
  std::vector<std::uint32_t> values(100);
  for (std::uint32_t i = 0; i < values.size(); ++i) values[i] = i * i % 17;
  const auto bytes = std::as_bytes(std::span(values));
  cellmill::Corpus corpus(arguments[1]);
  cellmill::add_codecs(corpus, bytes);
  cellmill::add_parts(corpus, bytes);
  cellmill::add_h5ad(corpus, bytes);
  cellmill::add_arrays(corpus, bytes);
  cellmill::add_packed_rows(corpus);
  cellmill::add_the_rest(corpus);
  return 0;
}
