"""Section `model`: the base model, set by an option of conf/model/."""

from typing import Literal

from ftgen.spec.types import Count, Flag, Folder, GitUrl, Identifier, Line, Name, Natural, Section, repository_name


class Shape(Section):
    """A transformer's dimensions, as its config.json states them; what `fit` computes with.

    Attributes:
        hidden: width of the hidden states (`hidden_size`).
        layers: number of layers (`num_hidden_layers`).
        heads: attention heads (`num_attention_heads`).
        kv_heads: key and value heads (`num_key_value_heads`).
        head_dim: width of one attention head.
        intermediate: width of the feed-forward layers (`intermediate_size`).
        vocab: size of the vocabulary.
        tied_embeddings: whether input and output embeddings are one matrix.
        qkv_bias: whether query, key and value projections have a bias.
        qk_norm: whether queries and keys are normalised.
        sandwich_norms: whether layers are normalised after as well as before.
        logit_softcap: whether logits are capped, which keeps another copy of them.
        fused_qkv: whether query, key and value are one projection.
        fused_gate_up: whether gate and up projections are one matrix.
        experts: experts of each layer; 0: a dense model.
        experts_per_token: experts that a token visits.
        expert_intermediate: width of one expert.
        vision_parameters: parameters of the vision tower; 0: text only.
    """

    hidden: Count
    layers: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    intermediate: Count
    vocab: Count
    tied_embeddings: Flag = False
    qkv_bias: Flag = False
    qk_norm: Flag = False
    sandwich_norms: Flag = False
    logit_softcap: Flag = False
    fused_qkv: Flag = False
    fused_gate_up: Flag = False
    experts: Natural = 0
    experts_per_token: Natural = 0
    expert_intermediate: Natural = 0
    vision_parameters: Natural = 0


class Model(Section):
    """The base model: where it lies, where the result goes, and what LLaMA-Factory must know of a language model.

    Attributes:
        name: how the model is called; null: there is no base model.
        hub: owner and name of the model on Hugging Face; null: it is not there.
        url: git repository of the weights; null: they lie on the models volume already.
        revision: branch, tag or commit of the weights; null: the repository's default branch.
        folder: folder of the weights on the models volume; null: the repository's name.
        output_url: git repository that takes the result; null: nothing is pushed.
        template: chat template by its name in LLaMA-Factory; null: it is no language model.
        parameters: number of parameters; null: unknown, and free space for the weights is not checked.
        dtype: data type of the weights; null: unknown.
        context (tokens): longest sequence the model was made for; null: it is no language model.
        quantization: how the weights come quantized, such as gptq or awq; null: they are whole.
        shape: the transformer's dimensions; null: the memory estimate is left out.
    """

    name: Line | None
    hub: Line | None = None
    url: GitUrl | None
    revision: Identifier | None = None
    folder: Folder | None = None
    output_url: GitUrl | None = None
    template: Line | None = None
    parameters: Count | None = None
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    context: Count | None = None
    quantization: Name | None = None
    shape: Shape | None = None

    @property
    def directory(self) -> str:
        """Return its folder on the models volume: the repository's name, as the platform's tools expect."""
        return self.folder or self.repository

    @property
    def repository(self) -> str:
        """Return the name of its repository; without one, its own."""
        return repository_name(self.url) if self.url else self.name or ""
