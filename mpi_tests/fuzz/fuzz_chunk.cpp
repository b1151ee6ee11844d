#include "cellmill/storage/claims.hpp"
#include "input.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_array.hpp"

// An array read whole: its document (v2 if the first byte is even), a zero byte, and the bytes of
// every chunk or shard.

namespace {

constexpr std::int64_t most_elements = 10'000;

void read_chunks(const cellmill::Array& array) {
  using namespace cellmill;
  const ArrayInfo& info = array.info();
  if (chunk_elements(info) > most_elements) return;
  const std::size_t room = static_cast<std::size_t>(chunk_elements(info)) * dtype_size(info.dtype);
  for (std::int64_t chunk = 0; chunk < std::min<std::int64_t>(chunk_count(info), 3); ++chunk) {
    may_refuse([&] {
      (void)array.encoded_bytes(chunk);
      std::vector<std::byte> out(room);
      array.decode(array.fetch(chunk), out);
    });
  }
  may_refuse([&] { (void)array.read_strings({0, std::min(element_count(info), most_elements)}); });
  if (element_count(info) <= most_elements) {
    may_refuse([&] { (void)read_all<double>(array); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  static const bool bounded = (limit_claims(std::int64_t{16} << 20), true);  // as --memory does
  static_cast<void>(bounded);
  FuzzInput input(data, size);
  const bool v2 = input.byte() % 2 == 0;
  const std::string_view text = input.text();
  may_refuse([&] {
    const nlohmann::json document = parse_json(text);
    const ZarrMetadata metadata = v2 ? parse_zarr2(document) : parse_zarr3(document);
    if (metadata.stored_chunk_bytes() > 1 << 20 || metadata.chunk_bytes() > 1 << 20) return;
    const auto store = std::make_shared<OneChunkStore>(input.rest());
    if (metadata.fields.empty()) {
      read_chunks(ZarrArray(store, "", "x", metadata));
    }
    for (const ZarrField& field : metadata.fields) {
      may_refuse([&] { read_chunks(ZarrArray(store, "", "x", metadata.of_field(field))); });
    }
  });
  return 0;
}
