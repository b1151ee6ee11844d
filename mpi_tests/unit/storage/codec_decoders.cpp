#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "storage/codecs.hpp"

namespace cellmill {
namespace {

using Decode = std::function<void(std::span<const std::byte>, std::span<std::byte>)>;
using Unsized = std::function<Bytes(std::span<const std::byte>, std::size_t)>;
using Encode = std::function<Bytes(std::span<const std::byte>)>;

/// One codec with all that is asked of it.
struct Codec {
  const char* name;
  Encode encode;
  Decode decode;
  Unsized decode_unsized;
};

Bytes blosc(std::span<const std::byte> in, const char* inner, BloscShuffle shuffle) {
  return blosc_encode(in, 4, inner, 5, shuffle);
}

/// Literal runs only, which is all that an encoder needs.
Bytes lzf_literals(std::span<const std::byte> in) {
  Bytes out;
  for (std::size_t at = 0; at < in.size(); at += 32) {
    const auto run = in.subspan(at, std::min<std::size_t>(32, in.size() - at));
    out.push_back(static_cast<std::byte>(run.size() - 1));
    out.insert(out.end(), run.begin(), run.end());
  }
  return out;
}

std::vector<Codec> codecs() {
  return {
      {"zlib", [](auto in) { return deflate_zlib(in, 4); }, inflate_zlib, inflate_zlib_unsized},
      {"zlib stored", [](auto in) { return deflate_zlib(in, 0); }, inflate_zlib,
       inflate_zlib_unsized},
      {"gzip", [](auto in) { return deflate_gzip(in, 9); }, inflate_gzip, inflate_gzip_unsized},
      {"zstd", [](auto in) { return zstd_encode(in, 3); }, zstd_decode, zstd_decode_unsized},
      {"blosc lz4", [](auto in) { return blosc(in, "lz4", BloscShuffle::byte); }, blosc_decode,
       blosc_decode_unsized},
      {"blosc zstd", [](auto in) { return blosc(in, "zstd", BloscShuffle::bit); }, blosc_decode,
       blosc_decode_unsized},
      {"blosc zlib", [](auto in) { return blosc(in, "zlib", BloscShuffle::none); }, blosc_decode,
       blosc_decode_unsized},
      {"lzf", lzf_literals, lzf_decode, nullptr},
  };
}

/// Compressible, with some noise.
Bytes sample(std::size_t size) {
  const CounterRng random(7, 1);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i % 4 == 0 ? random.below(i, 5) : 0);
  }
  return bytes;
}

TEST(Codecs, BytesComeBack) {
  for (const Codec& codec : codecs()) {
    for (const std::size_t size : {0, 1, 3, 4, 4095, 70'000, 1'000'000}) {
      const Bytes bytes = sample(size);
      const Bytes encoded = codec.encode(bytes);
      Bytes decoded(size);
      ASSERT_NO_THROW(codec.decode(encoded, decoded)) << codec.name << ' ' << size;
      EXPECT_EQ(decoded, bytes) << codec.name << ' ' << size;
      if (codec.decode_unsized) {
        EXPECT_EQ(codec.decode_unsized(encoded, bytes.size()), bytes) << codec.name << ' ' << size;
        if (!bytes.empty()) {
          EXPECT_THROW((void)codec.decode_unsized(encoded, bytes.size() - 1), Error) << codec.name;
        }
      }
    }
  }
}

TEST(Codecs, AnotherLengthThanExpectedIsAnError) {
  for (const Codec& codec : codecs()) {
    const Bytes encoded = codec.encode(sample(10'000));
    for (const std::size_t room :
         {std::size_t{0}, std::size_t{9'999}, std::size_t{10'001}, std::size_t{20'000}}) {
      Bytes decoded(room);
      EXPECT_THROW(codec.decode(encoded, decoded), Error) << codec.name << ' ' << room;
    }
  }
}

TEST(Codecs, AnInputCutShortIsAnError) {
  for (const Codec& codec : codecs()) {
    const Bytes encoded = codec.encode(sample(3'000));
    for (std::size_t kept = 0; kept < encoded.size(); kept += 1 + encoded.size() / 97) {
      // A buffer of exactly this size, so that a sanitizer sees a read beyond it.
      const Bytes cut(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(kept));
      Bytes decoded(3'000);
      EXPECT_THROW(codec.decode(cut, decoded), Error) << codec.name << ' ' << kept;
    }
  }
}

TEST(Codecs, DamagedInputNeitherCrashesNorOverruns) {
  const CounterRng random(11, 2);
  for (const Codec& codec : codecs()) {
    const Bytes encoded = codec.encode(sample(3'000));
    for (std::uint64_t round = 0; round < 400; ++round) {
      Bytes damaged = encoded;
      for (std::uint64_t hit = 0; hit <= round % 4; ++hit) {
        damaged[random.below(round * 8 + hit, damaged.size())] ^=
            static_cast<std::byte>(1 + random.below(round * 8 + hit + 4, 255));
      }
      Bytes decoded(3'000);
      try {
        codec.decode(damaged, decoded);  // some damage makes other, valid data
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::input);
      }
    }
  }
}

TEST(Codecs, NoiseIsRefused) {
  const CounterRng random(3, 3);
  for (const Codec& codec : codecs()) {
    for (std::uint64_t round = 0; round < 100; ++round) {
      Bytes noise(1 + random.below(round, 300));
      for (std::size_t i = 0; i < noise.size(); ++i) {
        noise[i] = static_cast<std::byte>(random.bits(round * 1000 + i) & 0xFF);
      }
      Bytes decoded(100'000);
      EXPECT_THROW(codec.decode(noise, decoded), Error) << codec.name;
    }
  }
}

TEST(Codecs, AWrongChecksumIsAnError) {
  for (const auto& [encoded, decode] :
       {std::pair<Bytes, Decode>{deflate_zlib(sample(100), 0), inflate_zlib},
        {deflate_gzip(sample(100), 0), inflate_gzip}}) {
    Bytes damaged = encoded;
    damaged[50] ^= std::byte{1};  // stored data: only the checksum can tell
    Bytes decoded(100);
    try {
      decode(damaged, decoded);
      FAIL() << "damage not seen";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  testing::AnyOf(testing::HasSubstr("checksum"), testing::HasSubstr("corrupt")));
    }
  }
}

TEST(Codecs, GzipMembersAreJoined) {
  const Bytes bytes = sample(1000);
  Bytes joined = deflate_gzip(std::span(bytes).first(300), 5);
  const Bytes rest = deflate_gzip(std::span(bytes).subspan(300), 1);
  joined.insert(joined.end(), rest.begin(), rest.end());
  Bytes decoded(1000);
  inflate_gzip(joined, decoded);
  EXPECT_EQ(decoded, bytes);
}

TEST(Codecs, ErrorsSayWhatEnded) {
  const Bytes encoded = deflate_zlib(sample(1000), 6);
  Bytes decoded(1000);
  try {
    inflate_zlib(std::span(encoded).first(encoded.size() / 2), decoded);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "zlib stream ends early");
  }
}

TEST(Codecs, LzfCopiesRepeatThemselves) {
  // "ab", then 9 bytes from 2 back (overlapping), then 3 bytes from 11 back.
  const std::vector<unsigned char> encoded = {1, 'a', 'b', 0xE0, 0, 1, 0x20, 10};
  const std::string expected = "ababababababa";
  std::string decoded(expected.size() + 1, '?');
  decoded.resize(2 + 9 + 3);
  lzf_decode(std::as_bytes(std::span(encoded)), std::as_writable_bytes(std::span(decoded)));
  EXPECT_EQ(decoded, "abababababaaba");
}

TEST(Codecs, LzfRefusesWhatLiesBeforeTheStart) {
  const std::vector<unsigned char> encoded = {0, 'a', 0x20, 5};
  Bytes decoded(4);
  EXPECT_THROW(lzf_decode(std::as_bytes(std::span(encoded)), decoded), Error);
}

TEST(Codecs, Lz4WithLengthInFront) {
  // A block of one literal run of 5 bytes.
  const std::vector<unsigned char> encoded = {5, 0, 0, 0, 0x50, 'h', 'e', 'l', 'l', 'o'};
  const auto bytes = std::as_bytes(std::span(encoded));
  Bytes decoded(5);
  lz4_sized_decode(bytes, decoded);
  EXPECT_EQ(static_cast<char>(decoded[4]), 'o');
  EXPECT_EQ(lz4_sized_decode_unsized(bytes, decoded.size()), decoded);
  Bytes larger(6);
  EXPECT_THROW(lz4_sized_decode(bytes, larger), Error);
  EXPECT_THROW(lz4_sized_decode(bytes.first(3), decoded), Error);
  EXPECT_THROW(lz4_sized_decode(bytes.first(8), decoded), Error);
  const std::vector<unsigned char> huge = {0xFF, 0xFF, 0xFF, 0xFF, 0x50, 'h', 'e'};
  EXPECT_THROW((void)lz4_sized_decode_unsized(std::as_bytes(std::span(huge)), SIZE_MAX), Error);
}

TEST(Crc32c, KnownValues) {
  const std::string digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xE3069283U);
  EXPECT_EQ(crc32c({}), 0U);
  const Bytes zeros(32, std::byte{0});
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAU);  // RFC 3720, B.4
}

TEST(Shuffle, UndoesItselfForEverySizeAndTail) {
  const CounterRng random(5, 4);
  for (const std::size_t element : {1, 2, 3, 4, 7, 8, 12, 16}) {
    for (const std::size_t size : {0, 1, 15, 16, 64, 127, 128, 1000, 1027}) {
      Bytes bytes(size);
      for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(random.bits(i) & 0xFF);
      }
      Bytes shuffled(size);
      byte_shuffle(bytes, shuffled, element);
      if (size > element) {
        EXPECT_EQ(shuffled[1], element == 1 || size < 2 * element ? bytes[1] : bytes[element]);
      }
      Bytes back(size);
      unshuffle(shuffled, back, element);
      EXPECT_EQ(back, bytes) << element << ' ' << size;
    }
  }
}

TEST(Shuffle, SizesMustAgree) {
  Bytes in(8);
  Bytes out(9);
  EXPECT_THROW(unshuffle(in, out, 4), Error);
  EXPECT_THROW(unshuffle(in, in, 0), Error);
}

TEST(SwapBytes, ReversesEveryElement) {
  Bytes bytes;
  for (int i = 0; i < 12; ++i) bytes.push_back(static_cast<std::byte>(i));
  const auto first = [&](std::size_t size) {
    Bytes swapped = bytes;
    swap_bytes(swapped, size);
    return std::to_integer<int>(swapped[0]);
  };
  EXPECT_EQ(first(1), 0);
  EXPECT_EQ(first(2), 1);
  EXPECT_EQ(first(3), 2);
  EXPECT_EQ(first(4), 3);
  EXPECT_EQ(first(8), 7);
}

}  // namespace
}  // namespace cellmill
