"""conf -> data -> model -> attribution -> prior -> train -> evaluate -> rows. See `python run.py --help`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))  # the code beside this file, whichever is installed

from attrpriors import record
from attrpriors.build import build, complete
from attrpriors.explain import as_typed, or_explain
from attrpriors.record import start, stream
from attrpriors.record.members import Fit, Member, together


@as_typed
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
@or_explain
@record.keep
@together
def main(cfg: DictConfig) -> Member:
    data = build(cfg.data, seed=cfg.seed).to(cfg.device)
    model = build(cfg.model, data=data).to(cfg.device)
    own = start(cfg)
    attribution = build(cfg.attribution, background=data.train.x, generator=stream(own, "attribution"))
    prior = build(cfg.prior, attribution=attribution, data=data)
    trainer = build(cfg.train, generator=stream(own, "batches"))
    explain = build(cfg.explain, background=data.train.x, generator=stream(own, "explain"))
    evaluate = build(cfg.evaluate, generator=stream(own, "evaluate"))
    history = yield Fit(trainer, model, data, prior)  # the members of an ensemble meet here and are trained together
    rows, arrays = complete(evaluate, model=model, data=data, attribution=attribution, explain=explain, history=history)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return record.Outcome(rows, history, arrays, data.provenance, parameters, weights=model.state_dict())


if __name__ == "__main__":
    main()
