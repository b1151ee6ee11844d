#include "input.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_metadata.hpp"

// Metadata documents of arrays: v2 if the first byte is even, else v3.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  FuzzInput input(data, size);
  const bool v2 = input.byte() % 2 == 0;
  const auto rest = input.rest();
  may_refuse([&] {
    const nlohmann::json document =
        parse_json({reinterpret_cast<const char*>(rest.data()), rest.size()});
    (void)json_text(document);
    const ZarrMetadata metadata = v2 ? parse_zarr2(document) : parse_zarr3(document);
    const ArrayInfo info = metadata.info("x");
    (void)(element_count(info) + chunk_count(info) + chunk_elements(info));
    (void)(metadata.chunk_bytes() + metadata.stored_chunk_bytes());
    (void)(metadata.most_encoded_bytes() + static_cast<std::int64_t>(metadata.most_text_bytes(9)));
    (void)metadata.key(std::vector<std::int64_t>(metadata.shape.size()));
    for (const ZarrField& field : metadata.fields) {
      may_refuse([&] { (void)metadata.of_field(field).info("x"); });
    }
  });
  return 0;
}
