"""What the sections of data sets must agree on: keypoints, metric, boxes, and what a method of adaptation needs."""

from typing import Any

ANIMAL_SETS = ("toy_animals", "tigdog", "synthetic_animals")  # with CC-SSL's keypoints and score
TIGDOG_ANIMALS = ("horse", "tiger")
JOINTS = {"coco": 17, "toy": 17, "mpii": 16, **dict.fromkeys(ANIMAL_SETS, 18)}
COCO_FORMAT = ("coco", "toy")  # scored with OKS
FILE_KEYS = ("ANNOTATIONS", "IMAGES", "SKELETON")  # of DATASET, for the reader of COCO's format
SKELETON_KEYS = ("CATEGORIES", "UPPER_BODY")  # of DATASET, for SKELETON file
ANNOTATED_BOXES_ONLY = ("mpii", *ANIMAL_SETS)
ONE_FINAL_LAYER = ("pose_hrnet", "pose_resnet", "lpn", "grmi_resnet")  # what WS-CDA's adaptation stands before


def _joints(cfg: Any) -> list[str]:
    found = []
    for section in ("DATASET", "TARGET"):  # the keypoints of HUMANS are translated
        name = cfg[section].DATASET
        known = JOINTS.get(name)
        if known is not None and cfg.MODEL.NUM_JOINTS != known and cfg[section].SKELETON != "file":
            own = f", or take the annotation file's keypoints with {section}.SKELETON file" * (name == "coco")
            found.append(
                f"MODEL.NUM_JOINTS is {cfg.MODEL.NUM_JOINTS}, but {section}.DATASET {name} has {known} keypoints; set "
                f"MODEL.NUM_JOINTS {known}{own}"
            )
    return found


def _own_keypoints(cfg: Any) -> list[str]:
    """Keys of COCO files with other keypoints, or in other places."""
    data = cfg.DATASET
    found = [
        f"DATASET.{key} is {data[key]!r}, but only DATASET.DATASET coco reads it; leave it out"
        for key in FILE_KEYS
        if data[key] and data.DATASET != "coco"
    ]
    if data.ANNOTATIONS and "{set}" not in data.ANNOTATIONS and data.TRAIN_SET != data.TEST_SET:
        found.append(
            f"DATASET.ANNOTATIONS is {data.ANNOTATIONS!r}, one file for both sets; write {{set}} in the place of their "
            f"names, which are {data.TRAIN_SET} and {data.TEST_SET}"
        )
    for key in SKELETON_KEYS:
        if not all(isinstance(name, str) for name in data[key]):
            found.append(f"DATASET.{key} is {list(data[key])}; expected a list of names")
        elif data[key] and data.SKELETON != "file":
            found.append(f"DATASET.{key} is {list(data[key])}, which only DATASET.SKELETON file reads; leave it out")
    if data.SKELETON == "file" and data.PROB_HALF_BODY > 0 and not data.UPPER_BODY:
        found.append(
            f"DATASET.PROB_HALF_BODY is {data.PROB_HALF_BODY:g}, but a file's skeleton has no upper body; name its "
            "keypoints in DATASET.UPPER_BODY, or set DATASET.PROB_HALF_BODY 0"
        )
    if data.SKELETON == "file" and cfg.LOSS.USE_DIFFERENT_JOINTS_WEIGHT:
        found.append(
            "LOSS.USE_DIFFERENT_JOINTS_WEIGHT is True, but its weights are those of COCO's joints; with "
            "DATASET.SKELETON file set it to False"
        )
    return found + _sigmas(cfg)


def _sigmas(cfg: Any) -> list[str]:
    sigmas, count = cfg.DATASET.SIGMAS, cfg.MODEL.NUM_JOINTS
    if not sigmas:
        return []
    if cfg.DATASET.DATASET not in COCO_FORMAT:
        return ["DATASET.SIGMAS is given, but DATASET.DATASET " + cfg.DATASET.DATASET + " has no OKS; leave it out"]
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) and each > 0 for each in sigmas):
        return [f"DATASET.SIGMAS is {list(sigmas)}; expected numbers above 0, e.g. COCO's 0.079 for a shoulder"]
    if len(sigmas) != count:
        return [f"DATASET.SIGMAS has {len(sigmas)} numbers, MODEL.NUM_JOINTS is {count}; give one for every keypoint"]
    return []


def _metric(cfg: Any) -> list[str]:
    (section, name), metric = _scored(cfg), cfg.TEST.METRIC
    if (metric == "oks" and name not in COCO_FORMAT) or (metric == "pck" and name == "mpii"):
        return [f"TEST.METRIC is {metric}, but {section}.DATASET {name} has a metric of its own; leave it out"]
    if metric == "pck" and name in COCO_FORMAT and (not cfg.TEST.USE_GT_BBOX or cfg.TEST.BOTH_BOXES):
        return ["TEST.METRIC pck needs annotated boxes; set TEST.USE_GT_BBOX True and TEST.BOTH_BOXES False"]
    return []


def _scored(cfg: Any) -> tuple[str, str]:
    """The section whose test split is scored, and its data set."""
    section = "TARGET" if cfg.TARGET.DATASET else "DATASET"
    return section, cfg[section].DATASET


def _boxes(cfg: Any) -> list[str]:
    section, name = _scored(cfg)
    if name in ANNOTATED_BOXES_ONLY and cfg.TEST.BOTH_BOXES:
        return [
            f"TEST.BOTH_BOXES is True, but {section}.DATASET {name} is always scored on its annotated boxes, so there "
            "is one kind only; set TEST.BOTH_BOXES False"
        ]
    return []


def _animals(cfg: Any) -> list[str]:
    found = []
    for section in ("DATASET", "TARGET"):
        animals = list(cfg[section].ANIMALS)
        known = TIGDOG_ANIMALS if cfg[section].DATASET == "tigdog" else animals
        if not animals or len(set(animals)) < len(animals) or not set(animals) <= set(known):
            found.append(f"{section}.ANIMALS is {animals}; give one or more of {', '.join(TIGDOG_ANIMALS)}, each once")
    return found


def data_contradictions(cfg: Any) -> list[str]:
    """As `check.find_contradictions`, of data sets and of adaptation."""
    checks = (_joints, _own_keypoints, _metric, _boxes, _animals, _adapt)
    return [problem for check in checks for problem in check(cfg)]


def _adapt(cfg: Any) -> list[str]:
    """Methods and the data they need."""
    adapt, method = cfg.ADAPT, cfg.ADAPT.METHOD
    found = []
    if method and not cfg.TARGET.DATASET:
        found.append(f"ADAPT.METHOD is {method}, but there is no TARGET to adapt to; name one, e.g. TARGET.ROOT")
    if cfg.TARGET.PROB_HALF_BODY > 0 and method != "supervised":
        found.append(
            f"TARGET.PROB_HALF_BODY is {cfg.TARGET.PROB_HALF_BODY}, but half bodies are cropped by labels, which "
            "TARGET has none of; leave it out"
        )
    if cfg.TARGET.SELECT_DATA and method != "supervised":
        found.append("TARGET.SELECT_DATA is True, but it selects by labels, which TARGET has none of; leave it out")
    if cfg.HUMANS.PROB_HALF_BODY > 0:
        found.append("HUMANS.PROB_HALF_BODY is above 0, but no half bodies are cropped of people; leave it out")
    if cfg.HUMANS.SKELETON:
        found.append("HUMANS.SKELETON is given, but people have COCO's keypoints or MPII's; leave it out")
    if method in ("ccssl", "pplo") and not cfg.LOSS.USE_TARGET_WEIGHT:
        found.append(
            f"LOSS.USE_TARGET_WEIGHT is False, but ADAPT.METHOD {method} leaves out rejected pseudo-labels by their "
            "weight; set it to True"
        )
    if method in ("ccssl", "pplo", "mean_teacher") and adapt.BEGIN_EPOCH >= cfg.TRAIN.END_EPOCH:
        found.append(
            f"ADAPT.BEGIN_EPOCH is {adapt.BEGIN_EPOCH}, but training ends before epoch {cfg.TRAIN.END_EPOCH}: "
            f"{method} would never begin; lower it"
        )
    if adapt.VIEW_SCALE >= 1:
        found.append(f"ADAPT.VIEW_SCALE is {adapt.VIEW_SCALE}, which lets views shrink to nothing; use less than 1")
    if cfg.HUMANS.DATASET and method not in ("wscda", "pplo"):
        found.append(f"HUMANS is read by ADAPT.METHOD wscda and pplo, not by {method!r}; leave the section out")
    if method in ("wscda", "pplo"):
        if not adapt.ALPHA < 0 < adapt.BETA:
            found.append(
                f"ADAPT.ALPHA is {adapt.ALPHA} and BETA {adapt.BETA}; the features help the pose, BETA above 0, and "
                "confuse the discriminator, ALPHA below 0, e.g. 500 and -1"
            )
        if cfg.MODEL.NAME not in ONE_FINAL_LAYER:
            found.append(
                f"ADAPT.METHOD {method} adapts the features before the last layer, of which {cfg.MODEL.NAME} has "
                f"several; take one of {', '.join(ONE_FINAL_LAYER)}"
            )
    if method and cfg.TRAIN.STAGES > 1:
        found.append(f"ADAPT.METHOD {method} counts its epochs through one stage; set TRAIN.STAGES 1")
    return found
