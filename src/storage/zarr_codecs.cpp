#include "storage/zarr_codecs.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

using Kind = ByteCodec::Kind;

struct Named {
  Kind kind;
  const char* name;
};
constexpr std::array<Named, 7> names = {{{Kind::gzip, "gzip"},
                                         {Kind::zlib, "zlib"},
                                         {Kind::zstd, "zstd"},
                                         {Kind::blosc, "blosc"},
                                         {Kind::lz4, "lz4"},
                                         {Kind::crc32c, "crc32c"},
                                         {Kind::shuffle, "shuffle"}}};

const char* name_of(Kind kind) { return names[static_cast<std::size_t>(kind)].name; }

BloscShuffle parse_blosc_shuffle(const nlohmann::json& value, std::size_t element_size) {
  if (value.is_string()) {
    if (value == "shuffle") return BloscShuffle::byte;
    return value == "bitshuffle" ? BloscShuffle::bit : BloscShuffle::none;
  }
  switch (value.get<int>()) {
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

void verify_crc32c(std::span<const std::byte>& in) {
  if (in.size() < 4) throw input_error("too short for its crc32c");
  const auto stored = in.last(4);
  in = in.first(in.size() - 4);
  std::uint32_t expected = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    expected |= std::to_integer<std::uint32_t>(stored[i]) << (8 * i);
  }
  const std::uint32_t found = crc32c(in);
  if (found != expected) {
    throw input_error(fmt::format("crc32c is {:08x}, expected {:08x}", found, expected));
  }
}

void decode_one(const ByteCodec& codec, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (codec.kind) {
    case Kind::gzip:
      return inflate_gzip(in, out);
    case Kind::zlib:
      return inflate_zlib(in, out);
    case Kind::zstd:
      return zstd_decode(in, out);
    case Kind::blosc:
      return blosc_decode(in, out);
    case Kind::lz4:
      return lz4_sized_decode(in, out);
    case Kind::shuffle:
      return unshuffle(in, out, codec.element_size);
    case Kind::crc32c:
      break;  // takes a checksum off, no bytes move: the callers do it
  }
}

Bytes decode_one_unsized(const ByteCodec& codec, std::span<const std::byte> in) {
  switch (codec.kind) {
    case Kind::gzip:
      return inflate_gzip_unsized(in);
    case Kind::zlib:
      return inflate_zlib_unsized(in);
    case Kind::zstd:
      return zstd_decode_unsized(in);
    case Kind::blosc:
      return blosc_decode_unsized(in);
    case Kind::lz4:
      return lz4_sized_decode_unsized(in);
    case Kind::shuffle: {
      Bytes out(in.size());
      unshuffle(in, out, codec.element_size);
      return out;
    }
    case Kind::crc32c:
      break;
  }
  return {in.begin(), in.end()};
}

void copy_exactly(std::span<const std::byte> in, std::span<std::byte> out) {
  if (in.size() != out.size()) {
    throw input_error(fmt::format("has {} bytes, expected {}", in.size(), out.size()));
  }
  if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
}

void append_u32(Bytes& out, std::size_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::byte>(value >> shift & 0xFF));
  }
}

}  // namespace

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
    parsed.level = options.value("level", options.value("acceleration", 0));
    if (parsed.kind == Kind::blosc) {
      parsed.level = options.value("clevel", 5);
      parsed.inner = options.value("cname", "lz4");
      parsed.element_size = options.value("typesize", element_size);
      parsed.blosc_shuffle =
          parse_blosc_shuffle(options.value("shuffle", nlohmann::json(1)), element_size);
    }
    if (parsed.kind == Kind::shuffle) {
      parsed.element_size = options.value("elementsize", std::size_t{4});
      if (parsed.element_size == 0) throw input_error("codec 'shuffle': elementsize is 0");
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
      options = {{"cname", codec.inner}, {"clevel", codec.level}, {"blocksize", 0}};
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
      break;
  }
  if (!v3) {
    options["id"] = name_of(codec.kind);
    return options;
  }
  nlohmann::json named = {{"name", name_of(codec.kind)}};
  if (!options.empty()) named["configuration"] = options;
  return named;
}

std::vector<ByteCodec> spec_codecs(const std::string& name, int level, std::size_t element_size) {
  if (name == "none") return {};
  ByteCodec codec;
  codec.element_size = element_size;
  if (name == "gzip") {
    codec.kind = Kind::gzip;
    codec.level = level < 0 ? 4 : level;
  } else if (name == "zstd") {
    codec.kind = Kind::zstd;
    codec.level = level < 0 ? 3 : level;
  } else if (name == "lz4") {
    codec.kind = Kind::blosc;
    codec.inner = "lz4";
    codec.level = level < 0 ? 5 : level;
    codec.blosc_shuffle = element_size > 1 ? BloscShuffle::byte : BloscShuffle::none;
  } else {
    throw input_error(fmt::format("codec '{}' is unknown; expected none, gzip, zstd or lz4", name));
  }
  return {codec};
}

std::string describe(std::span<const ByteCodec> codecs) {
  std::string text;
  for (const ByteCodec& codec : codecs) {
    if (!text.empty()) text += '+';
    text += name_of(codec.kind);
    if (codec.kind == Kind::blosc) text += fmt::format("({})", codec.inner);
    if (codec.kind == Kind::gzip || codec.kind == Kind::zlib || codec.kind == Kind::zstd) {
      text += fmt::format("({})", codec.level);
    }
  }
  return text.empty() ? "none" : text;
}

void decode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in,
                  std::span<std::byte> out) {
  Bytes between;
  for (std::size_t i = codecs.size(); i-- > 0;) {
    if (codecs[i].kind == Kind::crc32c) {
      verify_crc32c(in);
      continue;
    }
    if (i == 0) return decode_one(codecs[i], in, out);  // the usual case: no copy
    Bytes next = decode_one_unsized(codecs[i], in);
    between = std::move(next);
    in = between;
  }
  copy_exactly(in, out);
}

Bytes decode_bytes_unsized(std::span<const ByteCodec> codecs, std::span<const std::byte> in) {
  Bytes between;
  for (std::size_t i = codecs.size(); i-- > 0;) {
    if (codecs[i].kind == Kind::crc32c) {
      verify_crc32c(in);
      continue;
    }
    Bytes next = decode_one_unsized(codecs[i], in);
    between = std::move(next);
    in = between;
  }
  if (in.data() != between.data() || in.size() != between.size()) return {in.begin(), in.end()};
  return between;
}

Bytes encode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in) {
  Bytes encoded;
  for (const ByteCodec& codec : codecs) {
    Bytes next;
    switch (codec.kind) {
      case Kind::gzip:
        next = deflate_gzip(in, codec.level);
        break;
      case Kind::zlib:
        next = deflate_zlib(in, codec.level);
        break;
      case Kind::zstd:
        next = zstd_encode(in, codec.level);
        break;
      case Kind::blosc:
        next = blosc_encode(in, codec.element_size, codec.inner, codec.level, codec.blosc_shuffle);
        break;
      case Kind::shuffle:
        next.resize(in.size());
        byte_shuffle(in, next, codec.element_size);
        break;
      case Kind::crc32c:
        next.reserve(in.size() + 4);
        next.assign(in.begin(), in.end());
        append_u32(next, crc32c(in));
        break;
      case Kind::lz4:
        throw input_error("writing with codec 'lz4' outside blosc is not supported");
    }
    encoded = std::move(next);
    in = encoded;
  }
  if (codecs.empty()) encoded.assign(in.begin(), in.end());
  return encoded;
}

}  // namespace cellmill
