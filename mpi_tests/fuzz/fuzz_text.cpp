#include "input.hpp"
#include "storage/zarr_text.hpp"

// Strings: vlen-utf8, UCS-4, fixed-length bytes, base64.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  FuzzInput input(data, size);
  const std::uint8_t kind = input.byte();
  const std::int64_t first = input.byte();
  const std::int64_t count = input.byte();
  const auto bytes = input.rest();
  may_refuse([&] {
    switch (kind % 4) {
      case 0: {
        Strings strings;
        decode_vlen_utf8(bytes, first, count, strings);
        if (strings.size() != count) __builtin_trap();
        if (first == 0) {
          const Bytes again = encode_vlen_utf8(strings, 0, count);
          if (again.size() > bytes.size()) __builtin_trap();
        }
        break;
      }
      case 1:
        (void)utf8_of_ucs4(bytes.first(bytes.size() / 4 * 4));
        break;
      case 2:
        (void)text_of_bytes(bytes);
        break;
      default:
        (void)bytes_of_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  });
  return 0;
}
