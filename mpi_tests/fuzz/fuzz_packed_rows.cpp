#include <array>
#include <cstring>

#include "input.hpp"
#include "storage/packed_rows_pack.hpp"
#include "storage/packed_rows_unpack.hpp"

// Packed rows. An even first byte: a number of elements and a chunk, which every level of kernels
// refuses or unpacks to the same elements. An odd one: elements, which come back.

namespace {

using namespace cellmill;

constexpr std::array<DType, 5> types = {DType::uint8, DType::uint16, DType::int32, DType::float32,
                                        DType::float64};

std::vector<const PackedKernels*> all_kernels() {
  std::vector<const PackedKernels*> all = {&packed_plain};
  for (const CpuLevel level : {CpuLevel::avx2, CpuLevel::avx512}) {
    if (cpu_has(level)) all.push_back(&packed_kernels(level));
  }
  return all;
}

void expect(bool holds) {
  if (!holds) __builtin_trap();
}

/// The part by each level, past the caches too; nothing if it was refused.
template <class Out, class Unpack>
void unpack_by_all(std::span<const std::byte> chunk, Range part, std::size_t units, Unpack unpack) {
  std::optional<std::vector<Out>> plain;
  for (const PackedKernels* kernels : all_kernels()) {
    for (const bool past_caches : {false, true}) {
      std::optional<std::vector<Out>> out(units);
      PackedCarry carry;
      try {
        PackedPlace place{PackedChunk(chunk), part};
        find_part(place);
        unpack(place, std::span(*out), UnpackOptions{kernels, past_caches ? &carry : nullptr});
        kernels->flush(carry);
      } catch (const Error&) {
        out.reset();
      }
      if (kernels == &packed_plain) plain = out;
      expect(out.has_value() == plain.has_value());
      if (out && !out->empty()) {
        expect(std::memcmp(out->data(), plain->data(), out->size() * sizeof(Out)) == 0);
      }
    }
  }
}

void unpack(FuzzInput& input, DType dtype) {
  const std::int64_t n = input.number() % 5000;
  const std::int64_t begin = input.number() % 64;
  const Range part{begin, begin + n};
  const std::vector<std::byte> chunk(input.rest().begin(), input.rest().end());
  may_refuse([&] { PackedChunk(chunk).check_table(); });
  may_refuse([&] {
    // Room for a fragment that the part cuts is for the array to bound.
    if (PackedChunk(chunk).elements() > 100'000) return;
    const auto size = static_cast<std::size_t>(n);
    unpack_by_all<std::int32_t>(chunk, part, size, [&](auto& place, auto out, const auto& how) {
      unpack_part<std::int32_t>(place, dtype, out, how);
    });
    unpack_by_all<std::byte>(
        chunk, part, size * dtype_size(dtype),
        [&](auto& place, auto out, const auto& how) { unpack_part(place, dtype, out, how); });
  });
}

void round_trip(FuzzInput& input, DType dtype) {
  const auto kind = static_cast<PackedKind>(input.byte() % 3);
  const std::size_t row = 1 + input.byte();
  const std::size_t width = dtype_size(dtype);
  const std::size_t n = input.rest().size() / width;
  // As int32 often rising, so that kinds other than raw come about.
  std::vector<std::byte> elements(input.rest().begin(),
                                  input.rest().begin() + static_cast<std::ptrdiff_t>(n * width));
  if (kind == PackedKind::indices && dtype == DType::int32) {
    std::uint32_t column = 0;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint32_t step = 0;
      std::memcpy(&step, elements.data() + 4 * i, 4);
      column = (i % row == 0 ? 0 : column + 1) + (step >> (step % 32));
      std::memcpy(elements.data() + 4 * i, &column, 4);
    }
  }
  std::vector<std::int64_t> ends;
  for (std::size_t end = row; end < n + row; end += row) {
    ends.push_back(static_cast<std::int64_t>(std::min(end, n)));
  }
  const Bytes plain = pack_chunk(kind, dtype, elements, 0, ends, packed_plain);
  for (const PackedKernels* kernels : all_kernels()) {
    expect(pack_chunk(kind, dtype, elements, 0, ends, *kernels) == plain);
  }
  std::vector<std::byte> found(elements.size());
  unpack_chunk(plain, dtype, found);
  expect(found == elements);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::uint8_t first = input.byte();
  const DType dtype = types[first / 2 % types.size()];
  may_refuse([&] {
    if (first % 2 == 0) {
      unpack(input, dtype);
    } else {
      round_trip(input, dtype);
    }
  });
  return 0;
}
