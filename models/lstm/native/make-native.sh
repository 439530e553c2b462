#!/usr/bin/env bash
# Builds the native training backend: TensorFlow's C library from its Python wheel, joined to the Node binding whose
# source is inside the @tensorflow/tfjs-node package. Nothing is installed outside one folder:
#
#   make-native.sh        -> .native/       CPU, 230 MB to download, about 500 MB on disk
#   make-native.sh --gpu  -> .native-gpu/   NVIDIA (compute capability 6.0 to 9.0), 2.4 GB to download; the computer
#                                           that trains needs only the NVIDIA driver (525 or newer)
#
# Every file is pinned by version and sha256. A finished folder is left alone; --force builds it anew.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
variant=cpu
force=no
for argument in "$@"; do
  case "$argument" in
    --gpu) variant=gpu ;;
    --force) force=yes ;;
    -h | --help) sed -n '2,9p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "make-native: unknown argument '$argument' (known: --gpu, --force)" >&2; exit 2 ;;
  esac
done

# name, version, sha256 of the archive that `npm pack` brings
npm_packages=(
  '@tensorflow/tfjs-node 4.22.0 d38a448a705efc6e655a080f896b3af646ae39dffbfe9c90b06cb9fc3a2b9358'
  'google-protobuf 3.21.4 38299bb1802ce06900ea2e43650aded8393cd6a00012ed97ffc716eeab1e1091'
  'node-api-headers 1.5.0 59d0c186cb2db56fb5219219fdbcfb0573c33ff772494a23940564b9cfff881c'
)
# TensorFlow 2.18.1: the newest whose CUDA build finds its libraries beside itself without help.
cpu_wheels='tensorflow-cpu==2.18.1 --hash=sha256:810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298'
gpu_wheels='tensorflow==2.18.1 --hash=sha256:c9f87e5d2a680a4595f5dc30daf6bbaec9d4129b46d7ef1b2af63c46ac7d2828
nvidia-cuda-runtime-cu12==12.5.82 --hash=sha256:3e79a060e126df40fd3a068f3f787eb000fa51b251ec6cd97d09579632687115
nvidia-cublas-cu12==12.5.3.2 --hash=sha256:ca070ad70e9fa6654084575d01bd001f30cc4665e33d4bb9fc8e0f321caa034b
nvidia-cudnn-cu12==9.3.0.75 --hash=sha256:9ad9c6929ebb5295eb4a1728024666d1c88283373e265a0c5c883e6f9d5cd76d
nvidia-cufft-cu12==11.2.3.61 --hash=sha256:9a6e8df162585750f61983a638104a48c756aa13f9f48e19ab079b38e3c828b8
nvidia-cusolver-cu12==11.6.3.83 --hash=sha256:93cfafacde4428b71778eeb092ec615a02a3d05404da1bcf91c53e3fa1bce42b
nvidia-cusparse-cu12==12.5.1.3 --hash=sha256:016df8e993c437e8301e62739f01775cba988fd5253cd4c64173f8e8d2f8e752
nvidia-curand-cu12==10.3.6.82 --hash=sha256:2823fb27de4e44dbb22394a6adf53aa6e1b013aca0f8c22867d1cfae58405536
nvidia-cuda-nvrtc-cu12==12.5.82 --hash=sha256:3dbd97b0104b4bfbc3c4f8c79cd2496307c89c43c29a9f83125f1d76296ff3fd
nvidia-cuda-cupti-cu12==12.5.82 --hash=sha256:bde77a5feb66752ec61db2adfe47f56b941842825b4c7e2068aff27c9d107953
nvidia-nvjitlink-cu12==12.5.82 --hash=sha256:f9b37bc5c8cf7509665cb6ada5aaa0ce65618f2332b7d3e78e9790511f111212
nvidia-nccl-cu12==2.21.5 --hash=sha256:8579076d30a8c24988834445f8d633c697d42397e92ffc3f63fa26766d25e0a0'

if [ "$variant" = gpu ]; then
  target="$root/.native-gpu"; wheels="$gpu_wheels"; tensorflow_wheel='tensorflow-2.18.1-*.whl'; needed_mb=9000
else
  target="$root/.native"; wheels="$cpu_wheels"; tensorflow_wheel='tensorflow_cpu-2.18.1-*.whl'; needed_mb=1800
fi

if [ -e "$target/tfjs_binding.node" ] && [ "$force" = no ]; then
  echo "make-native: ${target#"$root"/} is already built (--force builds it anew)"
  exit 0
fi

# --- what must be there, all of it named at once --------------------------------------------------------------------
missing=()
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || missing+=("Linux on x86-64 (this is $(uname -s) on $(uname -m)); training uses WebAssembly here")
if command -v ldd >/dev/null && ldd --version 2>&1 | grep -qi musl; then
  missing+=('glibc (this is musl); training uses WebAssembly here')
fi
command -v node >/dev/null || missing+=('node')
command -v npm >/dev/null || missing+=('npm')
command -v g++ >/dev/null || missing+=('g++ (Debian and Ubuntu: apt-get install g++)')
command -v python3 >/dev/null || missing+=('python3 (3.9 or newer)')
command -v sha256sum >/dev/null || missing+=('sha256sum (coreutils)')
if command -v python3 >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
  missing+=('pip for python3 (Debian and Ubuntu: apt-get install python3-pip)')
fi
available_mb="$(df -Pm "$root" | awk 'NR == 2 { print $4 }')"
[ "$available_mb" -ge "$needed_mb" ] || missing+=("$needed_mb MB of free disk (there are $available_mb MB)")
if [ "${#missing[@]}" -gt 0 ]; then
  echo 'make-native: cannot build the native backend, missing:' >&2
  printf '  - %s\n' "${missing[@]}" >&2
  exit 1
fi

# --- build in a scratch folder; the binding moves into place last, so that a broken build never looks finished --------
rm -rf "$target"/scratch.*
mkdir -p "$target"
scratch="$(mktemp -d "$target/scratch.XXXXXX")"
trap 'rm -rf "$scratch"' EXIT
build="$scratch/build"
mkdir -p "$build" "$scratch/download" "$scratch/headers"

echo 'make-native: 1/4 npm packages'
for line in "${npm_packages[@]}"; do
  read -r name version sha256 <<<"$line"
  archive="$(cd "$scratch/download" && npm pack --silent --ignore-scripts "$name@$version" | tail -1)"
  if ! echo "$sha256  $scratch/download/$archive" | sha256sum --check --status; then
    echo "make-native: $name@$version is not the file that is pinned (sha256 differs); nothing was built" >&2
    exit 1
  fi
  case "$name" in
    @tensorflow/tfjs-node) folder="$build/tfjs-node" ;;
    google-protobuf) folder="$build/tfjs-node/node_modules/google-protobuf" ;;
    *) folder="$scratch/headers" ;;
  esac
  mkdir -p "$folder"
  tar -xzf "$scratch/download/$archive" -C "$folder" --strip-components=1
done

echo 'make-native: 2/4 TensorFlow (a large download)'
printf '%s\n' "$wheels" >"$scratch/requirements.txt"
python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes --python-version 3.11 \
  --implementation cp --abi cp311 --abi none --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
  --dest "$scratch/download" --requirement "$scratch/requirements.txt"

echo 'make-native: 3/4 unpack'
# A wheel is a zip file, and Python is here anyway. Only the two libraries and the C headers are taken.
python3 - "$build" "$scratch/download" "$tensorflow_wheel" <<'PYTHON'
import fnmatch, glob, os, sys, zipfile
build, download, tensorflow_wheel = sys.argv[1:]
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
headers = ('tensorflow/c/*', 'tensorflow/core/platform/ctstring*', 'tensorflow/tsl/platform/ctstring*',
           'tsl/platform/ctstring*', 'tensorflow/compiler/xla/tsl/c/*', 'xla/tsl/c/*', 'tsl/c/*',
           'tensorflow/tsl/c/*')
with zipfile.ZipFile(glob.glob(os.path.join(download, tensorflow_wheel))[0]) as wheel:
    for name in wheel.namelist():
        inside = name.removeprefix('tensorflow/include/')
        if name in libraries or (inside != name and any(fnmatch.fnmatch(inside, h) for h in headers)):
            wheel.extract(name, build)
for path in glob.glob(os.path.join(download, 'nvidia_*.whl')):
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(build, [n for n in wheel.namelist() if n.startswith('nvidia/') and '/lib/' in n])
PYTHON
if command -v strip >/dev/null; then strip --strip-unneeded "$build"/tensorflow/*.so.2 2>/dev/null || true; fi

echo 'make-native: 4/4 compile'
binding="$build/tfjs-node/binding"
g++ -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 -w \
  -I "$scratch/headers/include" -I "$build/tensorflow/include" \
  "$binding/tfjs_backend.cc" "$binding/tfjs_binding.cc" -o "$build/tfjs_binding.node" \
  -L "$build/tensorflow" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,'$ORIGIN/tensorflow'
rm -rf "$build/tensorflow/include"

TF_CPP_MIN_LOG_LEVEL=2 node -e 'require(process.argv[1])' "$build/tfjs_binding.node" || {
  echo 'make-native: the finished binding does not load in this Node; nothing was installed' >&2
  exit 1
}

rm -rf "$target/tfjs_binding.node" "$target/tfjs-node" "$target/tensorflow" "$target/nvidia"
for part in tfjs-node tensorflow nvidia tfjs_binding.node; do
  if [ -e "$build/$part" ]; then mv "$build/$part" "$target/$part"; fi
done
rm -rf "$scratch"
echo "make-native: done, $(du -sm "$target" | cut -f1) MB in ${target#"$root"/}; training uses it from now on (weir doctor says so)"
