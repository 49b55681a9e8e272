#!/bin/bash
# How the vendor of the cards starts a training.
IMAGE=registry.example.com/ascend/train:1
docker run --rm --device /dev/davinci0 --device /dev/davinci1 --device /dev/davinci_manager \
    -v /usr/local/Ascend/driver:/usr/local/Ascend/driver:ro --shm-size 16g "$IMAGE" python train.py
