"""Shape of a decoder-only language model: the sizes of its `config.json`, and parameter counts derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Shape(Struct, frozen=True):
    """The sizes of a decoder, named as in `conf/model/*.yaml`.

    Attributes:
        hidden: width of the residual stream (`hidden_size`).
        layers: decoder layers (`num_hidden_layers`).
        heads: query heads (`num_attention_heads`).
        kv_heads: key and value heads (`num_key_value_heads`).
        head_dim: width of one head.
        intermediate: width of the dense MLP (`intermediate_size`).
        vocab: rows of the embedding (`vocab_size`).
        tied_embeddings: the output projection is the embedding itself.
        qkv_bias: query, key and value projections have a bias (Qwen2, GLM-4 9B).
        qk_norm: queries and keys pass an RMSNorm each (Qwen3, Gemma 3).
        sandwich_norms: a norm after attention and MLP as well as before (Gemma, GLM-4).
        logit_softcap: logits pass a tanh (Gemma 2).
        fused_qkv: one linear layer for query, key and value (Phi).
        fused_gate_up: one linear layer for both halves of the MLP's input (Phi, GLM-4).
        experts: experts of a mixture, 0 for a dense model.
        experts_per_token: experts that process each token.
        expert_intermediate: width of one expert's MLP.
        vision_parameters: parameters of a vision tower with its projector, which stay frozen.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied_embeddings: bool
    qkv_bias: bool = False
    qk_norm: bool = False
    sandwich_norms: bool = False
    logit_softcap: bool = False
    fused_qkv: bool = False
    fused_gate_up: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    vision_parameters: int = 0

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Shape:
        """Build a shape from the `shape` mapping of a `conf/model` file; unknown keys raise TypeError."""
        return cls(**mapping)

    @property
    def query(self) -> int:
        """Return the width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Return the width of all key heads together, which equals that of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def mlp_width(self) -> int:
        """Return the intermediate values of one token in one layer."""
        return self.experts_per_token * self.expert_intermediate if self.experts else self.intermediate

    @property
    def mlp_copies(self) -> int:
        """Return the number of MLPs that process a token's hidden state: one, or its experts."""
        return self.experts_per_token if self.experts else 1

    @property
    def caps_scores(self) -> bool:
        """Return whether attention scores pass a tanh, as in Gemma 2 alone: its successors norm queries and keys."""
        return self.logit_softcap and not self.qk_norm

    @property
    def norms(self) -> int:
        """Return the number of RMSNorms over the residual stream in one layer."""
        return 4 if self.sandwich_norms else 2


def linear_layers(shape: Shape) -> dict[str, tuple[int, int, int]]:
    """Return the linear layers of one decoder layer: name -> (count, inputs, outputs)."""
    attention = {"o_proj": (1, shape.query, shape.hidden)}
    if shape.fused_qkv:
        attention["qkv_proj"] = (1, shape.hidden, shape.query + 2 * shape.key)
    else:
        attention["q_proj"] = (1, shape.hidden, shape.query)
        attention["k_proj"] = attention["v_proj"] = (1, shape.hidden, shape.key)
    return attention | _mlp(shape)


def _mlp(shape: Shape) -> dict[str, tuple[int, int, int]]:
    count, width = (shape.experts, shape.expert_intermediate) if shape.experts else (1, shape.intermediate)
    down = {"down_proj": (count, width, shape.hidden)}
    if shape.fused_gate_up:
        return {"gate_up_proj": (1, shape.hidden, 2 * width)} | down
    router = {"gate": (1, shape.hidden, shape.experts)} if shape.experts else {}
    inner = (count, shape.hidden, width)
    return {"gate_proj": inner, "up_proj": inner} | down | router


def linear_parameters(shape: Shape) -> int:
    """Count the weights of all linear layers of the decoder, without biases and output projection."""
    return shape.layers * sum(count * i * o for count, i, o in linear_layers(shape).values())


def layer_parameters(shape: Shape) -> int:
    """Count the parameters of one decoder layer."""
    bias = shape.query + 2 * shape.key if shape.qkv_bias else 0
    head_norms = 2 * shape.head_dim if shape.qk_norm else 0
    linear = sum(count * i * o for count, i, o in linear_layers(shape).values())
    return linear + bias + head_norms + shape.norms * shape.hidden


def parameters(shape: Shape) -> int:
    """Count all parameters of the model exactly, including the frozen vision tower."""
    embeddings = shape.vocab * shape.hidden * (1 if shape.tied_embeddings else 2)
    return embeddings + shape.layers * layer_parameters(shape) + shape.hidden + shape.vision_parameters


def adapter_parameters(shape: Shape, rank: int, target: str = "all") -> int:
    """Count the parameters of LoRA adapters on the linear layers that `target` names.

    Args:
        shape: shape of the base model.
        rank: `lora_rank`.
        target: `lora_target`: `all`, or comma-separated module names.  Names that the model does not have count
            nothing.
    """
    return shape.layers * sum(count * rank * (i + o) for count, i, o in _targeted(shape, target))


def rotation_parameters(shape: Shape, block: int, blocks: int = 0, target: str = "all") -> int:
    """Count the parameters of OFT: a skew-symmetric matrix for each block of a targeted layer's inputs.

    Args:
        shape: shape of the base model.
        block: inputs in a block (`oft_block_size`); 0 where their number is given.
        blocks: blocks of a layer (`oft_rank`).
        target: `oft_target`, as `adapter_parameters` takes it.
    """

    def of_layer(inputs: int) -> int:
        width = block if block > 0 else inputs // max(blocks, 1)
        return inputs * max(width - 1, 0) // 2

    return shape.layers * sum(count * of_layer(i) for count, i, _ in _targeted(shape, target))


def _targeted(shape: Shape, target: str) -> list[tuple[int, int, int]]:
    """Return the linear layers of one decoder layer that a target names."""
    targets = {name.strip() for name in target.split(",")}
    return [sizes for name, sizes in linear_layers(shape).items() if "all" in targets or name in targets]


_EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "word_embeddings", "output_layer", "embed_in", "embed_out")


def embedding_parameters(shape: Shape, names: str) -> int:
    """Count the parameters of the embeddings and output projections among comma-separated module names."""
    modules = {name.strip() for name in names.split(",")}
    return shape.vocab * shape.hidden * len(modules.intersection(_EMBEDDINGS))
