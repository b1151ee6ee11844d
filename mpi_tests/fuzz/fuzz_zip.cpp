#include "input.hpp"
#include "storage/zip_store.hpp"

// A zip archive: its directory, and every file in it.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  const FuzzInput input(data, size);
  const auto archive = std::make_shared<MemorySource>(input.rest());
  may_refuse([&] {
    const ZipStore store("x.zarr.zip", archive);
    for (const auto& entry : read_zip_directory(*archive)) {
      const std::string& name = entry.first;
      if (!store.exists(name)) __builtin_trap();
      (void)store.folders(name.substr(0, name.find('/')));
      may_refuse([&] { (void)store.read(name, 1 << 20); });
      if (store.size(name) > 1 << 20) continue;
      may_refuse([&] {
        const auto source = store.open(name);
        std::vector<std::byte> out(static_cast<std::size_t>(source->size()));
        source->read(0, out);
      });
    }
    (void)store.folders("");
  });
  return 0;
}
