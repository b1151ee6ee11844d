#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

namespace cellmill {

/// What not every format can do.
enum class Capability {
  booleans,
  strings,
  scalars,
  missing_chunks,  ///< a chunk that was never written reads as zeros
  empty_arrays,
  many_axes,
  tells_short_chunks  ///< a chunk that lost its end is an error, not old memory
};

/// What the suite needs of an implementation: one array in a folder of its own, which does not
/// exist yet when the backend is constructed from its path.
class ArrayBackend {
 public:
  virtual ~ArrayBackend() = default;
  /// Creates the array; the spec's codec and shards are the backend's to choose.
  virtual std::unique_ptr<ArrayWriter> create(const ArraySpec& spec) = 0;
  /// Opens what was created, after its writer is gone.
  virtual std::unique_ptr<Array> open() = 0;
  [[nodiscard]] virtual bool supports(Capability capability) const = 0;
  /// Whether this build has what lies beneath.
  [[nodiscard]] virtual bool available() const { return true; }
  /// Damages the stored bytes of the first chunk so that they can't be decoded.
  virtual void corrupt_first_chunk() = 0;
};

#define CELLMILL_NEEDS(capability) \
  if (!can(capability)) GTEST_SKIP() << "this backend has no such thing"

/// What every Array and ArrayWriter must do, whatever lies beneath. No template, so that each
/// test's body is compiled once and not once a backend.
class ArrayTests : public testing::Test {
 protected:
  void SetUp() override {
    if (!make(folder.path() / "unused")->available()) GTEST_SKIP() << "not in this build";
  }

  template <class T>
  void write(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& chunks,
             const std::vector<T>& values) {
    const std::unique_ptr<ArrayWriter> writer = create(dtype_of<T>(), shape, chunks);
    writer->write_rows(0, std::as_bytes(std::span(values)));
  }

  std::unique_ptr<ArrayWriter> create(DType dtype, const std::vector<std::int64_t>& shape,
                                      const std::vector<std::int64_t>& chunks) {
    ArraySpec spec;
    spec.dtype = dtype;
    spec.shape = shape;
    spec.chunk_shape = chunks;
    backend = make(folder.path() / std::to_string(next_++));
    return backend->create(spec);
  }

  template <class T>
  static std::vector<T> counting(std::size_t count) {
    std::vector<T> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i % 120 + 1);
    return values;
  }

  template <class T>
  void expect_round_trip() {
    const std::vector<T> values = counting<T>(1000);
    write<T>({1000}, {300}, values);
    const std::unique_ptr<Array> array = backend->open();
    EXPECT_EQ(array->info().dtype, dtype_of<T>());
    EXPECT_EQ(array->info().shape, std::vector<std::int64_t>{1000});
    const std::vector<double> found = read_all<double>(*array);
    ASSERT_EQ(found.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(found[i], static_cast<double>(values[i])) << dtype_name(dtype_of<T>()) << ' ' << i;
    }
  }

  [[nodiscard]] bool can(Capability capability) const {
    return make(folder.path() / "unused")->supports(capability);
  }

  [[nodiscard]] virtual std::unique_ptr<ArrayBackend> make(
      const std::filesystem::path& path) const = 0;

  void every_numeric_type_comes_back() {
    expect_round_trip<std::int8_t>();
    expect_round_trip<std::int16_t>();
    expect_round_trip<std::int32_t>();
    expect_round_trip<std::int64_t>();
    expect_round_trip<std::uint8_t>();
    expect_round_trip<std::uint16_t>();
    expect_round_trip<std::uint32_t>();
    expect_round_trip<std::uint64_t>();
    expect_round_trip<float>();
    expect_round_trip<double>();
  }

  void booleans_come_back() {
    CELLMILL_NEEDS(Capability::booleans);
    const std::unique_ptr<ArrayWriter> writer = create(DType::boolean, {5}, {2});
    const std::vector<std::uint8_t> values = {1, 0, 0, 1, 1};
    writer->write_rows(0, std::as_bytes(std::span(values)));
    const std::unique_ptr<Array> array = backend->open();
    EXPECT_EQ(array->info().dtype, DType::boolean);
    EXPECT_EQ(read_all<std::int32_t>(*array), (std::vector<std::int32_t>{1, 0, 0, 1, 1}));
  }

  void extreme_values_keep_their_bits() {
    const std::vector<std::int64_t> integers = {INT64_MIN, INT64_MAX, 0, -1};
    write<std::int64_t>({4}, {3}, integers);
    EXPECT_EQ(read_all<std::int64_t>(*backend->open()), integers);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> doubles = {nan, -0.0, 1e-310,
                                         std::numeric_limits<double>::infinity()};
    write<double>({4}, {3}, doubles);
    const std::vector<double> found = read_all<double>(*backend->open());
    EXPECT_EQ(std::memcmp(found.data(), doubles.data(), sizeof(double) * 4), 0);
  }

  void ranges_may_cross_chunks_and_begin_anywhere() {
    const std::vector<std::int32_t> values = counting<std::int32_t>(100);
    write<std::int32_t>({100}, {7}, values);
    const std::unique_ptr<Array> array = backend->open();
    for (const Range range : {Range{0, 100}, Range{0, 7}, Range{7, 14}, Range{3, 4}, Range{6, 8},
                              Range{5, 93}, Range{98, 100}, Range{91, 98}, Range{50, 50}}) {
      const std::vector<std::int32_t> expected(values.begin() + range.begin,
                                               values.begin() + range.end);
      EXPECT_EQ(read_range<std::int32_t>(*array, range), expected) << range.begin;
      EXPECT_EQ(read_range<double>(*array, range),
                std::vector<double>(expected.begin(), expected.end()));
    }
  }

  void ranges_outside_are_refused() {
    write<float>({10}, {4}, counting<float>(10));
    const std::unique_ptr<Array> array = backend->open();
    for (const Range range : {Range{0, 11}, Range{-1, 3}, Range{11, 11}, Range{5, 3}}) {
      EXPECT_THROW((void)fetch_range(*array, range), Error) << range.begin;
    }
    const std::int64_t chunks = chunk_count(array->info());
    EXPECT_THROW((void)array->fetch(chunks), Error);
    EXPECT_THROW((void)array->fetch(-1), Error);
  }

  void rows_of_many_columns_come_back() {
    CELLMILL_NEEDS(Capability::many_axes);
    std::vector<float> values(11 * 5);
    std::iota(values.begin(), values.end(), 1.0F);
    for (const std::vector<std::int64_t>& chunks :
         {std::vector<std::int64_t>{4, 5}, {4, 2}, {11, 5}, {1, 5}, {20, 8}}) {
      write<float>({11, 5}, chunks, values);
      const std::unique_ptr<Array> array = backend->open();
      EXPECT_EQ(read_all<float>(*array), values);
      for (const Range range :
           {Range{0, 11}, Range{4, 8}, Range{3, 9}, Range{10, 11}, Range{2, 2}}) {
        const std::vector<float> expected(values.begin() + range.begin * 5,
                                          values.begin() + range.end * 5);
        EXPECT_EQ(read_rows<float>(*array, range), expected) << range.begin;
        EXPECT_EQ(read_rows<double>(*array, range),
                  std::vector<double>(expected.begin(), expected.end()));
      }
      EXPECT_THROW((void)read_rows<float>(*array, Range{0, 12}), Error);
    }
  }

  void units_may_be_written_in_any_order() {
    const std::vector<std::int32_t> values = counting<std::int32_t>(50);
    const std::unique_ptr<ArrayWriter> writer = create(DType::int32, {50}, {8});
    const std::int64_t unit = writer->unit_rows();
    ASSERT_GE(unit, 1);
    const auto write = [&](std::int64_t first, std::int64_t end) {
      writer->write_rows(
          first, std::as_bytes(std::span(values).subspan(static_cast<std::size_t>(first),
                                                         static_cast<std::size_t>(end - first))));
    };
    const std::int64_t middle =
        std::min<std::int64_t>(unit * std::max<std::int64_t>(1, 24 / unit), 50);
    write(middle, 50);
    write(0, middle);
    EXPECT_EQ(read_all<std::int32_t>(*backend->open()), values);
  }

  void rows_beyond_the_end_are_refused() {
    const std::unique_ptr<ArrayWriter> writer = create(DType::int32, {10}, {5});
    const std::vector<std::int32_t> values(20);
    EXPECT_THROW(writer->write_rows(0, std::as_bytes(std::span(values))), Error);
    EXPECT_THROW(writer->write_rows(-10, std::as_bytes(std::span(values).first(10))), Error);
  }

  void chunks_never_written_are_zeros() {
    CELLMILL_NEEDS(Capability::missing_chunks);
    { const std::unique_ptr<ArrayWriter> writer = create(DType::float32, {10}, {4}); }
    const std::unique_ptr<Array> array = backend->open();
    EXPECT_EQ(array->encoded_bytes(0), 0);
    EXPECT_TRUE(array->fetch(0).missing);
    EXPECT_EQ(read_all<float>(*array), std::vector<float>(10, 0.0F));
  }

  void arrays_without_rows_are_empty() {
    CELLMILL_NEEDS(Capability::empty_arrays);
    write<float>({0}, {}, {});
    std::unique_ptr<Array> array = backend->open();
    EXPECT_EQ(element_count(array->info()), 0);
    EXPECT_EQ(chunk_count(array->info()), 0);
    EXPECT_TRUE(read_all<float>(*array).empty());
    if (!can(Capability::many_axes)) return;
    write<float>({0, 7}, {}, {});
    EXPECT_TRUE(read_all<float>(*backend->open()).empty());
  }

  void one_element_comes_back() {
    write<double>({1}, {1}, {2.5});
    EXPECT_EQ(read_all<double>(*backend->open()), std::vector<double>{2.5});
  }

  void scalars_come_back() {
    CELLMILL_NEEDS(Capability::scalars);
    write<double>({}, {}, {-7.25});
    const std::unique_ptr<Array> array = backend->open();
    EXPECT_TRUE(array->info().shape.empty());
    EXPECT_EQ(read_all<double>(*array), std::vector<double>{-7.25});
  }

  void strings_of_any_script_come_back() {
    CELLMILL_NEEDS(Capability::strings);
    const std::vector<std::string> values = {"CD3D", "",     "Müller", "γδ T",
                                             "細胞", "🧬", "a b\tc"};
    create(DType::string, {7}, {3})->write_strings(0, Strings(values));
    const std::unique_ptr<Array> array = backend->open();
    EXPECT_EQ(array->info().dtype, DType::string);
    EXPECT_EQ(array->read_strings({0, 7}).to_vector(), values);
    EXPECT_EQ(array->read_strings({2, 6}).to_vector(),
              std::vector<std::string>(values.begin() + 2, values.begin() + 6));
    EXPECT_TRUE(array->read_strings({3, 3}).empty());
    EXPECT_THROW((void)array->read_strings({0, 8}), Error);
    EXPECT_THROW((void)read_all<float>(*array), Error);
  }

  void string_scalars_and_empty_string_arrays_come_back() {
    CELLMILL_NEEDS(Capability::strings);
    const std::vector<std::string> one = {"čsr_matrix"};
    create(DType::string, {}, {})->write_strings(0, Strings(one));
    EXPECT_EQ(backend->open()->read_strings({0, 1}).to_vector(), one);
    create(DType::string, {0}, {})->write_strings(0, Strings());
    EXPECT_TRUE(backend->open()->read_strings({0, 0}).empty());
  }

  void strings_in_several_dimensions_come_back() {
    CELLMILL_NEEDS(Capability::strings);
    std::vector<std::string> values;
    for (int i = 0; i < 5 * 2 * 3; ++i) values.push_back(i % 4 == 0 ? "" : "ß" + std::to_string(i));
    for (const std::vector<std::int64_t>& chunks :
         {std::vector<std::int64_t>{2, 2, 3}, {5, 2, 3}, {1, 2, 3}}) {
      const std::unique_ptr<ArrayWriter> writer = create(DType::string, {5, 2, 3}, chunks);
      writer->write_strings(0, Strings(values));
      EXPECT_THROW(writer->write_strings(0, Strings(std::vector<std::string>(7))), Error);
      const std::unique_ptr<Array> array = backend->open();
      EXPECT_EQ(array->info().shape, (std::vector<std::int64_t>{5, 2, 3}));
      EXPECT_EQ(array->read_strings({0, 5}).to_vector(), values);
      for (const Range rows : {Range{1, 4}, Range{4, 5}, Range{2, 2}}) {
        EXPECT_EQ(array->read_strings(rows).to_vector(),
                  std::vector<std::string>(values.begin() + rows.begin * 6,
                                           values.begin() + rows.end * 6));
      }
      EXPECT_THROW((void)array->read_strings({0, 6}), Error);
    }
    for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{0, 3}, {3, 0}}) {
      create(DType::string, shape, {})->write_strings(0, Strings());
      EXPECT_EQ(backend->open()->info().shape, shape);
      EXPECT_TRUE(backend->open()->read_strings({0, shape[0]}).empty());
    }
  }

  void numbers_are_not_strings() {
    write<float>({3}, {3}, {1, 2, 3});
    EXPECT_THROW((void)backend->open()->read_strings({0, 3}), Error);
  }

  void encoded_bytes_are_what_fetch_reads() {
    write<std::int32_t>({1000}, {300}, counting<std::int32_t>(1000));
    const std::unique_ptr<Array> array = backend->open();
    for (std::int64_t chunk = 0; chunk < chunk_count(array->info()); ++chunk) {
      const EncodedChunk encoded = array->fetch(chunk);
      EXPECT_EQ(encoded.chunk, chunk);
      EXPECT_EQ(array->encoded_bytes(chunk), static_cast<std::int64_t>(encoded.bytes.size()));
    }
  }

  void pieces_decoded_by_many_threads_make_the_whole() {
    std::vector<float> values(100'000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 1009);
    write<float>({100'000}, {777}, values);
    const std::unique_ptr<Array> array = backend->open();
    const Range range{123, 99'321};
    const FetchedRange fetched = fetch_range(*array, range);
    EXPECT_GT(fetched.encoded_bytes(), 0);
    std::vector<float> found(static_cast<std::size_t>(range.size()));
    std::vector<std::thread> threads;
    for (std::int64_t piece = 0; piece < 4; ++piece) {
      threads.emplace_back(
          [&, piece] { decode_range<float>(*array, fetched, std::span(found), piece, 4); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(found, std::vector<float>(values.begin() + range.begin, values.begin() + range.end));
  }

  void many_threads_may_fetch_and_decode() {
    const std::vector<std::int32_t> values = counting<std::int32_t>(5000);
    write<std::int32_t>({5000}, {100}, values);
    const std::unique_ptr<Array> array = backend->open();
    std::vector<int> right(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < right.size(); ++thread) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < 5; ++round) {
          right[thread] += read_range<std::int32_t>(*array, {0, 5000}) == values ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(right, testing::Each(5));
  }

  void corrupt_chunks_are_named() {
    CELLMILL_NEEDS(Capability::tells_short_chunks);
    write<std::int32_t>({1000}, {500}, counting<std::int32_t>(1000));
    backend->corrupt_first_chunk();
    const std::unique_ptr<Array> array = backend->open();
    try {
      (void)read_range<std::int32_t>(*array, {0, 500});  // all of it: parts may miss the damage
      FAIL() << "read a corrupt chunk";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(array->info().location));
      EXPECT_THAT(error.what(), testing::HasSubstr("chunk 0"));
    }
  }

  void who_reads_all_sees_damage_in_the_last_chunk_too() {
    CELLMILL_NEEDS(Capability::tells_short_chunks);
    write<std::int32_t>({300}, {500}, counting<std::int32_t>(300));
    backend->corrupt_first_chunk();
    EXPECT_THROW((void)read_range<std::int32_t>(*backend->open(), {0, 300}), Error);
  }

  void decode_refuses_the_wrong_room() {
    write<float>({10}, {5}, counting<float>(10));
    const std::unique_ptr<Array> array = backend->open();
    const EncodedChunk encoded = array->fetch(0);
    std::vector<std::byte> out(static_cast<std::size_t>(chunk_elements(array->info())) * 4 + 4);
    EXPECT_THROW(array->decode(encoded, std::span(out)), Error);
    EXPECT_THROW(array->decode(encoded, std::span(out).first(out.size() - 8)), Error);
  }

  template <class T>
  void expect_parts_of_chunks(std::int64_t size, std::int64_t chunk_size) {
    std::vector<T> values(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i * 7919 % 113);
    write<T>({size}, {chunk_size}, values);
    const std::unique_ptr<Array> array = backend->open();
    const std::int64_t length = chunk_elements(array->info());
    for (std::int64_t chunk = 0; chunk < chunk_count(array->info()); ++chunk) {
      const EncodedChunk encoded = array->fetch(chunk);
      std::vector<T> whole(static_cast<std::size_t>(length));
      array->decode(encoded, std::as_writable_bytes(std::span(whole)));
      for (const Range part : {Range{0, length}, Range{0, 1}, Range{length - 1, length},
                               Range{0, length / 2}, Range{length / 2, length}, Range{5, 5},
                               Range{length / 3, 2 * length / 3}, Range{1, length - 1}}) {
        std::vector<T> found(static_cast<std::size_t>(part.size()));
        array->decode_part(encoded, part, std::as_writable_bytes(std::span(found)));
        ASSERT_EQ(found, std::vector<T>(whole.begin() + part.begin, whole.begin() + part.end))
            << dtype_name(dtype_of<T>()) << ", chunk " << chunk << ", from " << part.begin;
      }
    }
  }

  void parts_of_chunks_equal_the_whole() {
    expect_parts_of_chunks<std::int8_t>(1000, 300);
    expect_parts_of_chunks<std::uint16_t>(1000, 999);
    expect_parts_of_chunks<double>(100, 7);
    expect_parts_of_chunks<std::int32_t>(150'000, 100'000);  // many blocks of blosc
    expect_parts_of_chunks<float>(150'000, 100'000);
  }

  void parts_of_missing_chunks_are_zeros() {
    CELLMILL_NEEDS(Capability::missing_chunks);
    { const std::unique_ptr<ArrayWriter> writer = create(DType::float32, {10}, {8}); }
    const std::unique_ptr<Array> array = backend->open();
    std::vector<float> found(3, 1.0F);
    array->decode_part(array->fetch(0), {2, 5}, std::as_writable_bytes(std::span(found)));
    EXPECT_EQ(found, std::vector<float>(3, 0.0F));
  }

  void parts_outside_are_refused() {
    write<float>({10}, {5}, counting<float>(10));
    const std::unique_ptr<Array> array = backend->open();
    const EncodedChunk encoded = array->fetch(0);
    const std::int64_t length = chunk_elements(array->info());
    std::vector<std::byte> out(4 * 4);
    for (const Range part : {Range{length - 3, length + 1}, Range{-1, 3}, Range{3, -1}, Range{0, 3},
                             Range{0, 5}, Range{1, 4}}) {
      EXPECT_THROW(array->decode_part(encoded, part, out), Error) << part.begin;
    }
  }

  void fetched_buffers_may_be_used_again() {
    const std::vector<std::int32_t> values = counting<std::int32_t>(1000);
    write<std::int32_t>({1000}, {70}, values);
    const std::unique_ptr<Array> array = backend->open();
    FetchedRange fetched;
    for (const Range range :
         {Range{0, 1000}, Range{100, 101}, Range{5, 5}, Range{69, 911}, Range{930, 1000}}) {
      fetch_range(*array, range, fetched);
      EXPECT_EQ(fetched.range, range);
      EXPECT_GE(fetched.held_bytes(), fetched.encoded_bytes());
      std::vector<std::int32_t> found(static_cast<std::size_t>(range.size()));
      decode_range<std::int32_t>(*array, fetched, found);
      EXPECT_EQ(found, std::vector<std::int32_t>(values.begin() + range.begin,
                                                 values.begin() + range.end));
    }
  }

  TempFolder folder;
  std::unique_ptr<ArrayBackend> backend;

 private:
  int next_ = 0;
};

#undef CELLMILL_NEEDS

/// Instantiate with INSTANTIATE_TYPED_TEST_SUITE_P(Name, ArraySuite, Types).
template <class Backend>
class ArraySuite : public ArrayTests {
 protected:
  [[nodiscard]] std::unique_ptr<ArrayBackend> make(
      const std::filesystem::path& path) const override {
    return std::make_unique<Backend>(path);
  }
};

TYPED_TEST_SUITE_P(ArraySuite);
TYPED_TEST_P(ArraySuite, EveryNumericTypeComesBack) { this->every_numeric_type_comes_back(); }
TYPED_TEST_P(ArraySuite, BooleansComeBack) { this->booleans_come_back(); }
TYPED_TEST_P(ArraySuite, ExtremeValuesKeepTheirBits) { this->extreme_values_keep_their_bits(); }
TYPED_TEST_P(ArraySuite, RangesMayCrossChunksAndBeginAnywhere) {
  this->ranges_may_cross_chunks_and_begin_anywhere();
}
TYPED_TEST_P(ArraySuite, RangesOutsideAreRefused) { this->ranges_outside_are_refused(); }
TYPED_TEST_P(ArraySuite, RowsOfManyColumnsComeBack) { this->rows_of_many_columns_come_back(); }
TYPED_TEST_P(ArraySuite, UnitsMayBeWrittenInAnyOrder) { this->units_may_be_written_in_any_order(); }
TYPED_TEST_P(ArraySuite, RowsBeyondTheEndAreRefused) { this->rows_beyond_the_end_are_refused(); }
TYPED_TEST_P(ArraySuite, ChunksNeverWrittenAreZeros) { this->chunks_never_written_are_zeros(); }
TYPED_TEST_P(ArraySuite, ArraysWithoutRowsAreEmpty) { this->arrays_without_rows_are_empty(); }
TYPED_TEST_P(ArraySuite, OneElementComesBack) { this->one_element_comes_back(); }
TYPED_TEST_P(ArraySuite, ScalarsComeBack) { this->scalars_come_back(); }
TYPED_TEST_P(ArraySuite, StringsOfAnyScriptComeBack) { this->strings_of_any_script_come_back(); }
TYPED_TEST_P(ArraySuite, StringScalarsAndEmptyStringArraysComeBack) {
  this->string_scalars_and_empty_string_arrays_come_back();
}
TYPED_TEST_P(ArraySuite, StringsInSeveralDimensionsComeBack) {
  this->strings_in_several_dimensions_come_back();
}
TYPED_TEST_P(ArraySuite, NumbersAreNotStrings) { this->numbers_are_not_strings(); }
TYPED_TEST_P(ArraySuite, EncodedBytesAreWhatFetchReads) {
  this->encoded_bytes_are_what_fetch_reads();
}
TYPED_TEST_P(ArraySuite, PiecesDecodedByManyThreadsMakeTheWhole) {
  this->pieces_decoded_by_many_threads_make_the_whole();
}
TYPED_TEST_P(ArraySuite, ManyThreadsMayFetchAndDecode) {
  this->many_threads_may_fetch_and_decode();
}
TYPED_TEST_P(ArraySuite, CorruptChunksAreNamed) { this->corrupt_chunks_are_named(); }
TYPED_TEST_P(ArraySuite, WhoReadsAllSeesDamageInTheLastChunkToo) {
  this->who_reads_all_sees_damage_in_the_last_chunk_too();
}
TYPED_TEST_P(ArraySuite, DecodeRefusesTheWrongRoom) { this->decode_refuses_the_wrong_room(); }
TYPED_TEST_P(ArraySuite, PartsOfChunksEqualTheWhole) { this->parts_of_chunks_equal_the_whole(); }
TYPED_TEST_P(ArraySuite, PartsOfMissingChunksAreZeros) {
  this->parts_of_missing_chunks_are_zeros();
}
TYPED_TEST_P(ArraySuite, PartsOutsideAreRefused) { this->parts_outside_are_refused(); }
TYPED_TEST_P(ArraySuite, FetchedBuffersMayBeUsedAgain) {
  this->fetched_buffers_may_be_used_again();
}

REGISTER_TYPED_TEST_SUITE_P(
    ArraySuite, EveryNumericTypeComesBack, BooleansComeBack, ExtremeValuesKeepTheirBits,
    RangesMayCrossChunksAndBeginAnywhere, RangesOutsideAreRefused, RowsOfManyColumnsComeBack,
    UnitsMayBeWrittenInAnyOrder, RowsBeyondTheEndAreRefused, ChunksNeverWrittenAreZeros,
    ArraysWithoutRowsAreEmpty, OneElementComesBack, ScalarsComeBack, StringsOfAnyScriptComeBack,
    StringScalarsAndEmptyStringArraysComeBack, StringsInSeveralDimensionsComeBack,
    NumbersAreNotStrings, EncodedBytesAreWhatFetchReads, PiecesDecodedByManyThreadsMakeTheWhole,
    ManyThreadsMayFetchAndDecode, CorruptChunksAreNamed, WhoReadsAllSeesDamageInTheLastChunkToo,
    DecodeRefusesTheWrongRoom, PartsOfChunksEqualTheWhole, PartsOfMissingChunksAreZeros,
    PartsOutsideAreRefused, FetchedBuffersMayBeUsedAgain);

}  // namespace cellmill
