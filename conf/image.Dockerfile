# The runtime image: what the cards' vendor publishes, and on it what the trainer and the tracker of runs need.
# Any ARG that is not marked as written by ftgen can be given as `ftgen image image.NAME=VALUE`. Nothing is copied:
# docker build -t IMAGE - < Dockerfile

# The vendor's image (hardware.base.image): Debian or Ubuntu, with Python.
ARG BASE_IMAGE=
FROM ${BASE_IMAGE}
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# A mirror of the base's archive, such as http://mirrors.ustc.edu.cn/ubuntu; empty: the base image's own sources.
ARG APT_MIRROR=
# Written by ftgen from trainer.system_requirements.
ARG SYSTEM_REQUIREMENTS=
# An archive holds one version of a package, the newest: a pin would fail next month.
# hadolint ignore=DL3008
RUN if [ -n "${APT_MIRROR}" ]; then \
      find /etc/apt -type f \( -name '*.list' -o -name '*.sources' \) -exec \
        sed -i -E -e "s#https?://[a-z.]*(archive|security|ports)\.ubuntu\.com/ubuntu(-ports)?#${APT_MIRROR}#g" \
          -e "s#https?://(deb|security)\.debian\.org/debian#${APT_MIRROR}#g" {} +; \
    fi \
    && read -ra wanted <<< "${SYSTEM_REQUIREMENTS}" \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates git git-lfs "${wanted[@]}" \
    && rm -rf /var/lib/apt/lists/* \
    && git lfs install --system --skip-repo

# The folder of the base's Python where that is not the first on the PATH (hardware.base.python_home).
ARG PYTHON_HOME=
ENV PATH=${PYTHON_HOME:+${PYTHON_HOME}:}${PATH}
RUN command -v python > /dev/null || ln -s "$(command -v python3)" /usr/local/bin/python

# Python of a distribution's own refuses pip's packages unless told otherwise (PEP 668).
ARG PIP_BREAK_SYSTEM_PACKAGES=1

# PyTorch where the base has none; what the base holds of it, built for its cards, is kept by every later pip install.
ARG TORCH_INDEX_URL=
# Written by ftgen from hardware.base.torch.
ARG TORCH_REQUIREMENTS=
# hadolint ignore=DL3013
RUN read -ra wanted <<< "${TORCH_REQUIREMENTS}" \
    && if [ "${#wanted[@]}" -gt 0 ]; then \
      python -m pip install --no-cache-dir --index-url "${TORCH_INDEX_URL}" "${wanted[@]}"; \
    fi \
    && mkdir -p /opt/ftgen \
    && python -m pip list --format=freeze \
      | { grep -iE '^(torch|torchvision|torchaudio|torch[-_](npu|musa|gcu|mlu)|(pytorch[-_])?triton[a-z_-]*|habana[a-z_-]*)==' || true; } \
      > /opt/ftgen/base.txt

# The trainer's release and what it is checked with; each within what the release requires. transformers 5.6.0,
# which pip would take, cannot use FlashAttention 2.
ARG LLAMAFACTORY_VERSION=0.9.5
ARG TRANSFORMERS_VERSION=4.57.6
ARG ACCELERATE_VERSION=1.11.0
ARG PEFT_VERSION=0.18.1
ARG TRL_VERSION=0.24.0
ARG DATASETS_VERSION=4.0.0
# The newest that LLaMA-Factory accepts (requirements/deepspeed.txt).
ARG DEEPSPEED_VERSION=0.18.4
# What LLaMA-Factory's own image leaves out: quantization, and the metrics of predict_with_generate.
ARG BITSANDBYTES_VERSION=0.50.2
ARG NLTK_VERSION=3.10.4
ARG JIEBA_VERSION=0.42.1
ARG ROUGE_CHINESE_VERSION=1.0.3
# Trackers of runs.
ARG MLFLOW_VERSION=3.17.2
# From 0.8 on swanlab.get_run() raises where transformers' callback asks whether a run has begun.
ARG SWANLAB_VERSION=0.7.20
ARG TENSORBOARD_VERSION=2.21.0
ARG WANDB_VERSION=0.31.0
# The package index, pip's own when empty; without credentials: build arguments stay in the image's history.
ARG PIP_INDEX_URL=
# Written by ftgen: what the trainer asks for (trainer.requirements), the tracker, and the vendor for his cards
# (hardware.base.requirements).
ARG REQUIREMENTS=
# Every one of them has its version.
# hadolint ignore=DL3013
RUN read -ra wanted <<< "${REQUIREMENTS}" \
    && if [ "${#wanted[@]}" -gt 0 ]; then \
      python -m pip install --no-cache-dir --constraint /opt/ftgen/base.txt "${wanted[@]}"; \
    fi

# Caches and compiled extensions go to HOME, which any user may write; a user without a name needs LOGNAME.
ENV HOME=/home/trainer LOGNAME=trainer PYTHONUNBUFFERED=1
RUN mkdir -p "${HOME}" && chmod 1777 "${HOME}" && git config --system --add safe.directory '*'
WORKDIR /home/trainer

# What was asked for can be imported: a package's module of its own name, else all of its modules. LLaMA-Factory's
# `version` succeeds even where training cannot be imported; these commands do not. The machine that builds may have no
# driver: the vendor's stand-ins for its libraries (hardware.base.libraries) are found for these commands only.
# Both written by ftgen.
ARG SOURCE=
ARG LIBRARIES=
# hadolint ignore=SC1090
RUN read -ra files <<< "${SOURCE}" \
    && for file in "${files[@]}"; do if [ -f "${file}" ]; then source "${file}"; fi; done \
    && if [ -n "${LIBRARIES}" ]; then \
      export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+${LD_LIBRARY_PATH}:}${LIBRARIES}"; \
    fi \
    && read -ra wanted <<< "${TORCH_REQUIREMENTS} ${REQUIREMENTS}" \
    && python -c "import re, sys; \
from importlib import import_module; \
from importlib.metadata import packages_distributions; \
plain = lambda name: re.sub('[-_.]+', '_', name).lower(); \
modules = {}; \
[modules.setdefault(plain(name), set()).add(module) for module, names in packages_distributions().items() for name in names]; \
[import_module(module) for name in map(plain, sys.argv[1:]) for module in {name} & modules.get(name, set()) or modules.get(name, ())]" \
      "${wanted[@]%%[\[=<>!~;@]*}" \
    && if command -v llamafactory-cli > /dev/null; then \
      llamafactory-cli train -h > /dev/null && python -c "import llamafactory.train.tuner"; \
    fi \
    && git lfs version \
    && rm -rf "${HOME:?}"/.cache "${HOME:?}"/.triton

# Written by ftgen: a hash of this text, which is also in the tag that it proposes.
ARG RECIPE=
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="ftgen runtime" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      dev.ftgen.recipe="${RECIPE}" \
      dev.ftgen.requirements="${TORCH_REQUIREMENTS} ${REQUIREMENTS}"

# The user that runs where the pod names none: volumes without an fsGroup belong to root.
ARG IMAGE_USER=0
USER ${IMAGE_USER}
