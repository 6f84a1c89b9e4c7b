# The two commands of the README, and the daily ones. CMake does the building.
BUILD ?= build
CMAKE_FLAGS ?=
BENCH_FLAGS ?=
PREFIX ?= /usr/local

.PHONY: all build deps demo test install format check bench clean

all: build

# Installs the Debian packages that are missing (nothing when all are there).
deps:
	@scripts/install-deps.sh

build: deps
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS) >$(BUILD).log \
	  2>&1 || { cat $(BUILD).log; exit 1; }; rm -f $(BUILD).log
	@ninja -C $(BUILD) --quiet || ninja -C $(BUILD)

# Trains a CNN on the embedded digits, shows what it learnt and classifies a picture.
demo: build
	@scripts/demo.sh $(BUILD)

test: build
	@ctest --test-dir $(BUILD) --output-on-failure -j2

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

check:
	@scripts/check-format.sh
	@scripts/check-includes.py
	@scripts/check-symbols.sh $(BUILD)

# Beside PyTorch and ONNX Runtime, which are installed into the build folder unless BENCH_PYTHON names a
# Python that has them: BENCH_FLAGS="--only matmul --quick" and the like (bench/compare.py --help).
bench: build
	@python3 bench/compare.py --soma $(BUILD)/soma --out $(BUILD)/compare $(BENCH_FLAGS)

clean:
	@rm -rf $(BUILD)
