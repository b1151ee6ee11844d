#include "storage/zarr_codecs.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "cellmill/core/error.hpp"
#include "storage/json_file.hpp"

namespace cellmill {

namespace {

using Kind = ByteCodec::Kind;

struct Named {
  Kind kind;
  const char* name;
};
constexpr std::array<Named, 9> names = {{{Kind::gzip, "gzip"},
                                         {Kind::zlib, "zlib"},
                                         {Kind::zstd, "zstd"},
                                         {Kind::blosc, "blosc"},
                                         {Kind::lz4, "lz4"},
                                         {Kind::shuffle, "shuffle"},
                                         {Kind::crc32c, "crc32c"},
                                         {Kind::crc32, "crc32"},
                                         {Kind::adler32, "adler32"}}};

BloscShuffle parse_blosc_shuffle(const nlohmann::json& value, std::size_t element_size) {
  if (value.is_string()) {
    if (value == "shuffle") return BloscShuffle::byte;
    return value == "bitshuffle" ? BloscShuffle::bit : BloscShuffle::none;
  }
  switch (json_integer(value, -1, 2)) {
    case 0:
      return BloscShuffle::none;
    case 1:
      return BloscShuffle::byte;
    case 2:
      return BloscShuffle::bit;
    default:  // numcodecs' AUTOSHUFFLE
      return element_size == 1 ? BloscShuffle::bit : BloscShuffle::byte;
  }
}

}  // namespace

const char* codec_name(ByteCodec::Kind kind) { return names[static_cast<std::size_t>(kind)].name; }

bool is_checksum(ByteCodec::Kind kind) { return kind >= Kind::crc32c; }

ByteCodec parse_byte_codec(const nlohmann::json& codec, std::size_t element_size) {
  const bool v3 = codec.contains("name");
  std::string name = codec.at(v3 ? "name" : "id").get<std::string>();
  const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json& options =
      !v3 ? codec : (codec.contains("configuration") ? codec["configuration"] : none);
  // zarr-python registers numcodecs' codecs for v3 under this prefix, same bytes.
  constexpr std::string_view prefix = "numcodecs.";
  const std::string full_name = name;
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  for (const Named& known : names) {
    if (name != known.name) continue;
    ByteCodec parsed;
    parsed.kind = known.kind;
    parsed.element_size = element_size;
    const auto integer = [&](const char* option, std::int64_t usual, std::int64_t lowest,
                             std::int64_t highest) {
      return with_context(fmt::format("codec '{}': {}", full_name, option), [&] {
        return json_integer(options.value(option, nlohmann::json(usual)), lowest, highest);
      });
    };
    constexpr std::int64_t any = std::numeric_limits<std::int32_t>::max();
    parsed.level =
        static_cast<int>(integer("level", integer("acceleration", 0, -any, any), -any, any));
    if (parsed.kind == Kind::blosc) {
      parsed.level = static_cast<int>(integer("clevel", 5, -any, any));
      parsed.inner = options.value("cname", "lz4");
      const auto size = static_cast<std::int64_t>(element_size);
      parsed.element_size = static_cast<std::size_t>(integer("typesize", size, 0, any));
      parsed.blosc_shuffle =
          parse_blosc_shuffle(options.value("shuffle", nlohmann::json(1)), element_size);
    }
    if (parsed.kind == Kind::shuffle) {
      parsed.element_size =
          static_cast<std::size_t>(integer("elementsize", 4, 1, largest_shuffled_element));
    }
    if (is_checksum(parsed.kind)) {
      const char* const usual = parsed.kind == Kind::crc32c ? "end" : "start";
      parsed.checksum_first = options.value("location", usual) == std::string("start");
    }
    return parsed;
  }
  throw input_error(fmt::format("codec '{}' is not supported", full_name));
}

nlohmann::json byte_codec_json(const ByteCodec& codec, StoreFormat format) {
  nlohmann::json options = nlohmann::json::object();
  const bool v3 = format == StoreFormat::zarr3;
  switch (codec.kind) {
    case Kind::blosc: {
      static constexpr std::array<const char*, 3> shuffles = {"noshuffle", "shuffle", "bitshuffle"};
      const auto shuffle = static_cast<std::size_t>(codec.blosc_shuffle);
      options = {{"cname", codec.inner}, {"clevel", codec.level}, {"blocksize", codec.block_bytes}};
      if (v3) {
        options["typesize"] = codec.element_size;
        options["shuffle"] = shuffles[shuffle];
      } else {
        options["shuffle"] = shuffle;
      }
      break;
    }
    case Kind::zstd:
      options["level"] = codec.level;
      if (v3) options["checksum"] = false;
      break;
    case Kind::gzip:
    case Kind::zlib:
      options["level"] = codec.level;
      break;
    case Kind::lz4:
      options["acceleration"] = codec.level;
      break;
    case Kind::shuffle:
      options["elementsize"] = codec.element_size;
      break;
    case Kind::crc32c:
    case Kind::crc32:
    case Kind::adler32:
      break;
  }
  if (!v3) {
    options["id"] = codec_name(codec.kind);
    return options;
  }
  nlohmann::json named = {{"name", codec_name(codec.kind)}};
  if (!options.empty()) named["configuration"] = options;
  return named;
}

std::vector<ByteCodec> spec_codecs(const ArraySpec& spec, std::size_t element_size) {
  std::vector<ByteCodec> codecs;
  const bool packed = spec.codec == "packed_rows";  // small as they are; a checksum goes with them
  if (spec.codec != "none" && !packed) {
    ByteCodec& codec = codecs.emplace_back();
    codec.element_size = element_size;
    if (spec.codec == "gzip") {
      codec.kind = Kind::gzip;
      codec.level = spec.level < 0 ? 4 : spec.level;
    } else if (spec.codec == "zstd") {
      codec.kind = Kind::zstd;
      codec.level = spec.level < 0 ? 3 : spec.level;
    } else if (spec.codec == "lz4") {
      codec.kind = Kind::blosc;
      codec.inner = "lz4";
      codec.level = spec.level < 0 ? 5 : spec.level;
      codec.blosc_shuffle = element_size > 1 ? BloscShuffle::byte : BloscShuffle::none;
      codec.block_bytes = static_cast<std::size_t>(spec.block_bytes);
    } else {
      throw input_error(fmt::format(
          "codec '{}' is unknown; expected none, gzip, zstd, lz4 or packed_rows", spec.codec));
    }
  }
  if (spec.checksums || packed) codecs.emplace_back().kind = Kind::crc32c;
  return codecs;
}

std::string describe(std::span<const ByteCodec> codecs) {
  std::string text;
  for (const ByteCodec& codec : codecs) {
    if (!text.empty()) text += '+';
    text += codec_name(codec.kind);
    if (codec.kind == Kind::blosc) text += fmt::format("({})", codec.inner);
    if (codec.kind == Kind::gzip || codec.kind == Kind::zlib || codec.kind == Kind::zstd) {
      text += fmt::format("({})", codec.level);
    }
  }
  return text.empty() ? "none" : text;
}

}  // namespace cellmill
