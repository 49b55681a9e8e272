"""The peer that ftgen is measured against: a bare Hydra application over the same configuration.

It composes, resolves and dumps with PyYAML's C dumper, which is the least that any generator on Hydra does; it
checks nothing and renders no manifest.

    python -m tests.bench.peer [-m] [OVERRIDES]
"""

from __future__ import annotations

import os
from pathlib import Path

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

CONF = Path(__file__).parents[2] / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> None:
    """Write the resolved configuration of one job."""
    text = yaml.dump(OmegaConf.to_container(config, resolve=True), Dumper=yaml.CSafeDumper, sort_keys=False)
    folder = Path(os.environ["BENCH_OUT"])
    folder.mkdir(parents=True, exist_ok=True)
    number = HydraConfig.get().job.get("num", 0) if HydraConfig.get().mode.name == "MULTIRUN" else 0
    (folder / f"{number}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
