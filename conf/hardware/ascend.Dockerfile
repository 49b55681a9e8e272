# The runtime image for Ascend 910B cards: LLaMA-Factory with what its own image lacks (git-lfs, MLflow, DeepSpeed).
# Any ARG can be given as `ftgen image image.NAME=VALUE`. Nothing is copied: docker build -t IMAGE - < Dockerfile

# Huawei's CANN with its kernels for one chip, amd64 and arm64: 910b serves Atlas A2; for Atlas A3 take the tag with a3.
ARG BASE_IMAGE=quay.io/ascend/cann:8.5.0-910b-ubuntu22.04-py3.11
FROM ${BASE_IMAGE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# A mirror of Ubuntu's archive, such as http://mirrors.ustc.edu.cn/ubuntu; empty: the base image's own sources.
ARG APT_MIRROR=
RUN if [ -n "${APT_MIRROR}" ]; then \
      find /etc/apt -type f \( -name '*.list' -o -name '*.sources' \) -exec \
        sed -i -E "s#https?://[a-z.]*(archive|security|ports)\.ubuntu\.com/ubuntu(-ports)?#${APT_MIRROR}#g" {} +; \
    fi \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates git git-lfs \
    && rm -rf /var/lib/apt/lists/* \
    && git lfs install --system --skip-repo

# torch_npu 2.7.1.post2 is the build for torch 2.7.1 and CANN 8.5.0 (Ascend Extension for PyTorch 7.3.0); torch itself
# is the one without CUDA. All three come from PyTorch's index, so that they are built for each other.
ARG TORCH_VERSION=2.7.1
ARG TORCHVISION_VERSION=0.22.1
ARG TORCHAUDIO_VERSION=2.7.1
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "${TORCH_INDEX_URL}" \
      "torch==${TORCH_VERSION}" "torchvision==${TORCHVISION_VERSION}" "torchaudio==${TORCHAUDIO_VERSION}"

ARG TORCH_NPU_VERSION=2.7.1.post2
ARG DECORATOR_VERSION=5.3.1
# The trainer's release and what it is checked with; each within what the release requires.
ARG LLAMAFACTORY_VERSION=0.9.5
ARG TRANSFORMERS_VERSION=4.57.6
ARG ACCELERATE_VERSION=1.11.0
ARG PEFT_VERSION=0.18.1
ARG TRL_VERSION=0.24.0
ARG DATASETS_VERSION=4.0.0
# The newest that LLaMA-Factory accepts (requirements/deepspeed.txt).
ARG DEEPSPEED_VERSION=0.18.4
# What LLaMA-Factory's own image leaves out: experiment tracking, and the metrics of predict_with_generate.
# bitsandbytes is not among them: its wheels hold nothing for Ascend, so that sft-qlora needs an image with one built for it.
ARG MLFLOW_VERSION=3.17.2
ARG NLTK_VERSION=3.10.4
ARG JIEBA_VERSION=0.42.1
ARG ROUGE_CHINESE_VERSION=1.0.3
# The package index, pip's own when empty; without credentials: build arguments stay in the image's history.
ARG PIP_INDEX_URL=
RUN pip install --no-cache-dir \
      "torch==${TORCH_VERSION}" "torchvision==${TORCHVISION_VERSION}" "torchaudio==${TORCHAUDIO_VERSION}" \
      "llamafactory==${LLAMAFACTORY_VERSION}" "transformers==${TRANSFORMERS_VERSION}" \
      "accelerate==${ACCELERATE_VERSION}" "peft==${PEFT_VERSION}" "trl==${TRL_VERSION}" \
      "datasets==${DATASETS_VERSION}" "deepspeed==${DEEPSPEED_VERSION}" \
      "mlflow==${MLFLOW_VERSION}" "torch-npu==${TORCH_NPU_VERSION}" "decorator==${DECORATOR_VERSION}" \
      "nltk==${NLTK_VERSION}" "jieba==${JIEBA_VERSION}" "rouge-chinese==${ROUGE_CHINESE_VERSION}"

# Caches and compiled extensions go to HOME, which any user may write; a user without a name needs LOGNAME.
ENV HOME=/home/trainer LOGNAME=trainer PYTHONUNBUFFERED=1
RUN mkdir -p "${HOME}" && chmod 1777 "${HOME}" && git config --system --add safe.directory '*'
WORKDIR /home/trainer

# `llamafactory-cli version` succeeds even where training cannot be imported; these do not. The machine that builds
# has no Ascend driver: CANN's own stand-in for it (devlib) lets torch_npu be imported, for these commands only.
RUN set +u \
    && source /usr/local/Ascend/ascend-toolkit/set_env.sh \
    && export LD_LIBRARY_PATH="${LD_LIBRARY_PATH}:/usr/local/Ascend/ascend-toolkit/latest/$(uname -m)-linux/devlib" \
    && llamafactory-cli train -h > /dev/null \
    && python -c "import accelerate, datasets, deepspeed, mlflow, peft, torch_npu, torchaudio, torchvision, trl" \
    && python -c "import llamafactory.train.tuner" \
    && git lfs version \
    && rm -rf "${HOME:?}"/.cache "${HOME:?}"/.triton

ARG BASE_IMAGE
LABEL org.opencontainers.image.title="ftgen runtime, Ascend" \
      org.opencontainers.image.version="${LLAMAFACTORY_VERSION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      dev.ftgen.llamafactory="${LLAMAFACTORY_VERSION}" \
      dev.ftgen.transformers="${TRANSFORMERS_VERSION}" \
      dev.ftgen.torch="${TORCH_VERSION}" \
      dev.ftgen.torch-npu="${TORCH_NPU_VERSION}" \
      dev.ftgen.deepspeed="${DEEPSPEED_VERSION}" \
      dev.ftgen.mlflow="${MLFLOW_VERSION}"

# The user that runs where the pod names none: volumes without an fsGroup belong to root.
ARG IMAGE_USER=0
USER ${IMAGE_USER}
