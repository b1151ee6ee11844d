#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "storage/codecs.hpp"
#include "storage/zarr_codecs.hpp"

// Decoders that stop early, or begin late.

namespace cellmill {
namespace {

Bytes sample(std::size_t size) {
  const CounterRng random(19, 1);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i % 4 == 0 ? random.below(i, 7) : 0);
  }
  return bytes;
}

Bytes part_of(const Bytes& bytes, std::size_t begin, std::size_t size) {
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(begin);
  return {first, first + static_cast<std::ptrdiff_t>(size)};
}

/// Runs and copies as LZF has them, chosen at random, and what they decode to.
struct Lzf {
  Bytes encoded;
  Bytes decoded;
};

Lzf random_lzf(std::uint64_t seed, std::size_t size) {
  const CounterRng random(seed, 2);
  std::uint64_t draw = 0;
  Lzf lzf;
  while (lzf.decoded.size() < size) {
    const std::size_t there = lzf.decoded.size();
    const std::size_t left = size - there;
    if (there == 0 || left < 3 || random.below(draw++, 3) == 0) {
      const std::size_t length = std::min<std::size_t>(left, 1 + random.below(draw++, 32));
      lzf.encoded.push_back(static_cast<std::byte>(length - 1));
      for (std::size_t i = 0; i < length; ++i) {
        const auto byte = static_cast<std::byte>(random.below(draw++, 256));
        lzf.encoded.push_back(byte);
        lzf.decoded.push_back(byte);
      }
      continue;
    }
    const std::size_t longest = random.below(draw++, 2) == 0 ? 8 : 264;
    const std::size_t length = std::min<std::size_t>(left, 3 + random.below(draw++, longest - 2));
    const std::size_t farthest = random.below(draw++, 2) == 0 ? 17 : 8192;
    const std::size_t distance = 1 + random.below(draw++, std::min(there, farthest));
    const std::size_t high = (distance - 1) >> 8;
    if (length - 2 < 7) {
      lzf.encoded.push_back(static_cast<std::byte>((length - 2) << 5 | high));
    } else {
      lzf.encoded.push_back(static_cast<std::byte>(7 << 5 | high));
      lzf.encoded.push_back(static_cast<std::byte>(length - 2 - 7));
    }
    lzf.encoded.push_back(static_cast<std::byte>((distance - 1) & 0xFF));
    for (std::size_t i = 0; i < length; ++i) {
      lzf.decoded.push_back(lzf.decoded[lzf.decoded.size() - distance]);
    }
  }
  return lzf;
}

TEST(CodecParts, LzfOfAnyRunsAndDistancesComesBack) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Lzf lzf = random_lzf(seed, 1 + seed * 37 % 5000);
    Bytes decoded(lzf.decoded.size());
    lzf_decode(lzf.encoded, decoded);
    ASSERT_EQ(decoded, lzf.decoded) << seed;
  }
}

TEST(CodecParts, PrefixesEndAnywhere) {
  const std::size_t whole = 70'000;
  const Bytes bytes = sample(whole);
  Bytes members = deflate_gzip(std::span(bytes).first(30'000), 6);
  const Bytes rest = deflate_gzip(std::span(bytes).subspan(30'000), 1);
  members.insert(members.end(), rest.begin(), rest.end());
  const Lzf lzf = random_lzf(1, whole);
  const auto expect = [&](const Bytes& all, const std::function<void(std::span<std::byte>)>& run) {
    for (const std::size_t size :
         {0, 1, 2, 255, 256, 257, 4096, 29'999, 30'000, 30'001, 65'537, 69'999, 70'000}) {
      Bytes found(size);
      run(found);
      ASSERT_EQ(found, part_of(all, 0, size)) << size;
    }
  };
  for (const int level : {0, 1, 4, 9}) {
    const Bytes zlib = deflate_zlib(bytes, level);
    const Bytes gzip = deflate_gzip(bytes, level);
    expect(bytes, [&](auto out) { inflate_zlib_prefix(zlib, out, whole); });
    expect(bytes, [&](auto out) { inflate_gzip_prefix(gzip, out, whole); });
  }
  expect(bytes, [&](auto out) { inflate_gzip_prefix(members, out, whole); });
  expect(lzf.decoded, [&](auto out) { lzf_decode_prefix(lzf.encoded, out); });
}

TEST(CodecParts, PrefixesOfWhatEndsEarlyAreErrors) {
  const Bytes bytes = sample(20'000);
  const auto half = [](const Bytes& encoded) { return part_of(encoded, 0, encoded.size() / 2); };
  Bytes out(19'000);
  EXPECT_THROW(inflate_zlib_prefix(half(deflate_zlib(bytes, 4)), out, bytes.size()), Error);
  EXPECT_THROW(inflate_gzip_prefix(half(deflate_gzip(bytes, 4)), out, bytes.size()), Error);
  EXPECT_THROW(lzf_decode_prefix(half(random_lzf(4, 20'000).encoded), out), Error);
  EXPECT_THROW(inflate_zlib_prefix(deflate_zlib(part_of(bytes, 0, 100), 4), out, bytes.size()),
               Error);
}

TEST(CodecParts, BloscGivesAnyBytes) {
  for (const std::size_t whole : {1'000, 4'001, 400'000}) {
    const Bytes bytes = sample(whole);
    for (const char* inner : {"lz4", "zstd", "blosclz", "zlib"}) {
      for (const std::size_t type_size : {1, 4, 8, 200}) {
        const Bytes encoded = blosc_encode(bytes, type_size, inner, 5, BloscShuffle::byte);
        for (const auto& [begin, size] : {std::pair<std::size_t, std::size_t>{0, whole},
                                          {0, 4},
                                          {400, 200},
                                          {3, 5},
                                          {8, 0},
                                          {whole / 8 * 4, 96},
                                          {whole - 1, 1},
                                          {1, whole - 1}}) {
          Bytes found(size);
          blosc_decode_part(encoded, whole, begin, found);
          ASSERT_EQ(found, part_of(bytes, begin, size))
              << inner << ' ' << type_size << ' ' << begin;
        }
        Bytes out(8);
        EXPECT_THROW(blosc_decode_part(encoded, whole, whole - 4, out), Error);
        EXPECT_THROW(blosc_decode_part(encoded, whole, SIZE_MAX - 3, out), Error);
        EXPECT_THROW(blosc_decode_part(encoded, whole + 8, 0, out), Error);
      }
    }
  }
}

TEST(CodecParts, DamagedInputNeitherCrashesNorOverruns) {
  const CounterRng random(23, 3);
  const std::size_t whole = 300'000;
  const Bytes bytes = sample(whole);
  struct Codec {
    Bytes encoded;
    std::function<void(std::span<const std::byte>, std::span<std::byte>)> decode;
  };
  const auto blosc = [&](std::size_t begin) {
    return [=](std::span<const std::byte> in, std::span<std::byte> out) {
      blosc_decode_part(in, whole, begin, out);
    };
  };
  const std::vector<Codec> codecs = {
      {blosc_encode(bytes, 4, "lz4", 5, BloscShuffle::byte), blosc(150'000)},
      {blosc_encode(bytes, 4, "blosclz", 5, BloscShuffle::bit), blosc(0)},
      {blosc_encode(bytes, 4, "zstd", 1, BloscShuffle::none), blosc(260'000)},
      {blosc_encode(bytes, 4, "lz4", 0, BloscShuffle::none), blosc(4)},
      {deflate_zlib(bytes, 4), [](auto in, auto out) { inflate_zlib_prefix(in, out, whole); }},
      {deflate_gzip(bytes, 4), [](auto in, auto out) { inflate_gzip_prefix(in, out, whole); }},
      {random_lzf(9, whole).encoded, lzf_decode_prefix}};
  for (std::size_t c = 0; c < codecs.size(); ++c) {
    for (std::uint64_t round = 0; round < 600; ++round) {
      // Half of the hits in the header and the offsets of the blocks.
      Bytes damaged = codecs[c].encoded;
      for (std::uint64_t hit = 0; hit <= round % 4; ++hit) {
        const std::size_t reach = round % 2 == 0 ? damaged.size() : 64;
        damaged[random.below(round * 8 + hit, reach)] ^=
            static_cast<std::byte>(1 + random.below(round * 8 + hit + 4, 255));
      }
      if (round % 5 == 0) damaged.resize(random.below(round, damaged.size()));
      damaged.shrink_to_fit();  // so that a sanitizer sees a read beyond it
      Bytes out(40'000);
      try {
        codecs[c].decode(damaged, out);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::input) << c << ' ' << round << ' ' << error.what();
      }
    }
  }
}

TEST(CodecParts, ZarrChecksumsAreCheckedBeforeAPart) {
  const Bytes bytes = sample(1000);
  ByteCodec checksum;
  checksum.kind = ByteCodec::Kind::crc32c;
  for (const char* name : {"none", "gzip", "lz4", "zstd"}) {
    ArraySpec spec;
    spec.codec = name;
    spec.level = 1;
    std::vector<ByteCodec> codecs = spec_codecs(spec, 4);
    codecs.push_back(checksum);
    Bytes encoded = encode_bytes(codecs, bytes);
    Bytes out(100);
    const bool done = decode_bytes_part(codecs, encoded, bytes.size(), bytes.size(), 200, out);
    EXPECT_EQ(done, std::string(name) != "zstd") << name;
    if (done) {
      EXPECT_EQ(out, part_of(bytes, 200, 100)) << name;
    }
    encoded[encoded.size() / 2] ^= std::byte{1};
    EXPECT_THROW((void)decode_bytes_part(codecs, encoded, bytes.size(), bytes.size(), 200, out),
                 Error)
        << name;
  }
}

}  // namespace
}  // namespace cellmill
