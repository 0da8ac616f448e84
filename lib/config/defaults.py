"""Every configuration key with its default and its meaning.

An experiment file may hold only keys that stand here. Sizes are (width, height). `MODEL.EXTRA` has the keys of its
architecture, listed in `MODEL_EXTRA`. Keys that the forks' files carry but nothing reads say so.
"""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "OUTPUT_DIR": "output",  # results go to OUTPUT_DIR/<dataset>/<model>/<cfg name>/
    "LOG_DIR": "log",  # TensorBoard events go to LOG_DIR/<dataset>/<model>/<cfg name>_<time>/
    "DATA_DIR": "",  # relative paths of data and weights (ROOT, COCO_BBOX_FILE, PRETRAINED, ...) start here
    "GPUS": [0],  # CUDA devices, a process each; without CUDA the CPU is used. See docs/distributed.md
    "WORKERS": 4,  # data loading processes; 0 loads in the main process
    "PRINT_FREQ": 100,  # a log line (and DEBUG pictures) every so many training steps
    "AUTO_RESUME": False,  # continue from checkpoint.pth in the output folder where there is one
    "SEED": 0,  # of weights, shuffling and augmentation
    "CUDNN": {
        "BENCHMARK": True,  # let cuDNN time its algorithms and take the fastest
        "DETERMINISTIC": False,  # only algorithms that give the same bits every time
        "ENABLED": True,  # use cuDNN at all
        "TF32": True,  # convolutions of float32 in TF32, as PyTorch's own default; matrix products never
    },
    "COMPUTE": {  # see docs/speed.md
        "PRECISION": "fp32",  # of networks, in training and scoring: fp32, or bf16 (mixed); the rest is float32
        "COMPILE": "none",  # cudagraphs, or torch.compile's mode: default, reduce-overhead (CUDA graphs), max-autotune
    },
    "DATASET": {
        "DATASET": "coco",  # format of the data set: coco, mpii, toy, toy_animals, tigdog, synthetic_animals
        "ROOT": "data/coco",  # its folder
        "TRAIN_SET": "train2017",  # name of the training split
        "TEST_SET": "val2017",  # name of the split that is scored
        "ANNOTATIONS": "",  # coco: file below ROOT, {set} for the name of the set; '' is COCO's, see docs/own_data.md
        "IMAGES": "",  # coco: folder below ROOT, likewise; '' is images/{set}, '.' ROOT itself
        "SKELETON": "",  # coco: '' (COCO's 17 keypoints of persons), or file: those that the annotation file names
        "CATEGORIES": [],  # SKELETON file: names of the categories to read; empty for all that have keypoints
        "UPPER_BODY": [],  # SKELETON file: names of the keypoints of the upper half, for PROB_HALF_BODY
        "SIGMAS": [],  # constants of OKS, one a keypoint; empty for COCO's, with other keypoints 0.05 each
        "DATA_FORMAT": "jpg",  # jpg: image files; zip, tar: images/<set>.zip, images/<set>-*.tar
        "COLOR_RGB": False,  # give the network RGB; otherwise BGR, as OpenCV reads
        "SELECT_DATA": False,  # keep only training people whose keypoints and box agree (SimpleBaselines' filter)
        "FLIP": True,  # augmentation: mirror half of the samples
        "SCALE_FACTOR": 0.25,  # augmentation: crop scale is 1 + this * normal noise, clipped to 1 +- this
        "ROT_FACTOR": 30.0,  # augmentation: degrees * normal noise, clipped to +-2 * this, for 60% of the samples
        "AUGMENTATION": "hrnet",  # hrnet (and the other forks), or mspn: random boxes, uniform draws, see docs/mspn.md
        "PROB_HALF_BODY": 0.0,  # augmentation: probability of a crop around the upper or lower body only
        "NUM_JOINTS_HALF_BODY": 8,  # half-body crops only for people with more visible joints than this
        "BOX_EXTENSION": [0.09, 0.135],  # codec megvii: boxes grow by these shares of their width and height
        "RANDOM_EXTENSION": [0.6, 0.8],  # augmentation mspn: boxes grow by up to these shares; so do half bodies
        "ANIMALS": ["horse", "tiger"],  # tigdog, synthetic_animals: the species to read
        "TOY_TRAIN_IMAGES": 700,  # toy data: images drawn for the training split
        "TOY_TEST_IMAGES": 150,  # toy data: images drawn for the test split
        "TOY_DOMAIN": "source",  # toy_animals: source (plain pictures) or target (clips); a folder below ROOT
    },
    "MODEL": {
        "NAME": "pose_hrnet",  # architecture: pose_resnet, pose_hrnet, lpn, hourglass, mspn, grmi_resnet
        "CODEC": "gaussian",  # keypoints <-> maps: gaussian, dark, udp, udp_offset, soft_argmax, megvii, grmi, ccssl
        "NUM_JOINTS": 17,  # keypoints of the skeleton
        "IMAGE_SIZE": [192, 256],  # network input, (width, height) in px
        "HEATMAP_SIZE": [48, 64],  # network output, (width, height) in px
        "SIGMA": 2.0,  # standard deviation of the target Gaussian, heatmap px
        "TARGET_SHAPE": "gaussian",  # codec ccssl: gaussian or cauchy, the bell around a keypoint
        "PIXEL_MEAN": [0.485, 0.456, 0.406],  # of the input's channels, in its order (see COLOR_RGB), from 0 to 1
        "PIXEL_STD": [0.229, 0.224, 0.225],  # their standard deviations
        "INIT_WEIGHTS": True,  # initialise as the papers' code does and load PRETRAINED; otherwise PyTorch's defaults
        "PRETRAINED": "",  # weights to begin with: a file, or a name like torchvision://resnet50; '' for none
        "REINIT_HEAD": False,  # begin the last layers anew where PRETRAINED's have another shape (other keypoints)
        "STYLE": "pytorch",  # pose_resnet's stride in the 3x3 convolution (pytorch) or the first 1x1 (caffe)
        "TARGET_TYPE": "gaussian",  # the forks' key: gaussian, or offset (UDP); translated to CODEC
        "EXTRA": {},  # keys of the architecture, see MODEL_EXTRA
    },
    "LOSS": {
        "NAME": "",  # a loss of core/losses, e.g. JointsMSE; '' is the codec's own
        "USE_TARGET_WEIGHT": True,  # leave out joints that are not labelled or lie outside the crop
        "USE_DIFFERENT_JOINTS_WEIGHT": False,  # weigh joints by how hard they are (COCO: wrists and ankles 1.5)
        "USE_OHKM": False,  # the forks' key: JointsOHKMMSE instead of JointsMSE; JointsL2: on the finest heatmaps
        "TOPK": 8,  # hardest joints of a person that JointsOHKMMSE, or JointsL2 with USE_OHKM, counts
        "COARSE_TO_FINE": True,  # JointsL2: the last stage has narrower targets than the others
        "KPD": 4.0,  # udp_offset: radius of the disk, heatmap px
        "DISK_RADIUS": 25.0,  # grmi: radius of the disk, input px
        "LAMBDA_HEATMAP": 4.0,  # JointsGRMI: weight of the heatmaps' loss
        "LAMBDA_OFFSET": 1.0,  # JointsGRMI: weight of the offsets' loss
        "REDUCTION": "mean",  # JointsL1Offset: mean or sum over the pixels
    },
    "TRAIN": {
        "BATCH_SIZE_PER_GPU": 32,  # samples per step, of each process
        "ACCUMULATE": 1,  # batches per step: gradients of so many add up, see docs/speed.md
        "EMA": 0.0,  # share of the weights' running average that a step keeps; 0: none; the average is what is scored
        "SHUFFLE": True,  # new order every epoch
        "BEGIN_EPOCH": 0,  # first epoch, where nothing is resumed
        "END_EPOCH": 140,  # epochs in all; of each stage, where there are several
        "STAGES": 1,  # LPN's iterative training: trainings in a row, each from the weights of the one before
        "VALIDATE_EVERY": 1,  # score after every so many epochs, and after the last
        "OPTIMIZER": "adam",  # adam (ignores WD, as the forks' does), adam_l2 (reads it), adamw, sgd, rmsprop
        "LR": 0.001,  # learning rate
        "SCALE_LR": False,  # multiply LR by the number of processes
        "SYNC_BN": False,  # BatchNorm over the batches of all processes together; CUDA only
        "LR_SCHEDULE": "step",  # step: see LR_STEP; linear: the rate falls to 0 at the end (MSPN)
        "LR_STEP": [90, 120],  # epochs (of a stage) after which the rate is multiplied by LR_FACTOR
        "LR_FACTOR": 0.1,  # see LR_STEP
        "WARMUP_ITERS": 0,  # steps over which the rate rises linearly from LR * WARMUP_FACTOR to LR
        "WARMUP_FACTOR": 0.1,  # see WARMUP_ITERS
        "WD": 0.0001,  # weight decay of adam_l2, adamw, sgd and rmsprop
        "MOMENTUM": 0.9,  # sgd
        "NESTEROV": False,  # sgd
        "GAMMA1": 0.99,  # in the forks' files; read by nothing, there or here
        "GAMMA2": 0.0,  # in the forks' files; read by nothing, there or here
        "CHECKPOINT": "",  # AUTO_RESUME from this file instead of checkpoint.pth in the output folder
    },
    "TEST": {
        "BATCH_SIZE_PER_GPU": 32,  # crops per step, and their mirror images with them
        "MODEL_FILE": "",  # weights to score; '' is final_state.pth of the output folder
        "USE_GT_BBOX": False,  # True: the annotated boxes; False: the detections of COCO_BBOX_FILE. mpii, animals: True
        "BOTH_BOXES": False,  # score with the other kind of boxes too, at the end of a training and in tools/test.py
        "COCO_BBOX_FILE": "",  # detections, COCO results format
        "IMAGE_THRE": 0.0,  # detections with a lower score are dropped
        "FLIP_TEST": False,  # average with the prediction on the mirrored crop
        "SHIFT_HEATMAP": False,  # codecs gaussian and soft_argmax: move the mirrored heatmap by 1 px before averaging
        "POST_PROCESS": False,  # codecs gaussian and soft_argmax: quarter shift; udp: Taylor step
        "BLUR_KERNEL": 11,  # codecs dark and megvii: side of the Gaussian blur, heatmap px
        "SHIFT_RATIOS": [0.25],  # codec megvii: steps from the highest pixel towards the next highest ones, heatmap px
        "SOFT_ARGMAX": False,  # LPN's key; translated to MODEL.CODEC soft_argmax
        "BETA": 160.0,  # codec soft_argmax: inverse temperature of the softmax
        "BIAS": 0.0,  # codec soft_argmax: subtracted from the keypoints, image px
        "VOTE_UPSAMPLING": 1,  # codec grmi: vote map px per heatmap px; the network's stride is the paper's choice
        "RESCORE": "box_times_keypoints",  # a person's score: that of the box times the joints', or keypoints (G-RMI)
        "METRIC": "",  # oks (COCO's AP), pck (of the annotated box's longest side), or '' for the data set's own
        "PCK_THRE": 0.05,  # METRIC pck, animals: a keypoint is right within this share of the box's longest side
        "IN_VIS_THRE": 0.2,  # keypoint scores above this enter the person's score
        "NMS": "oks",  # what people of one image are compared by: oks (keypoints), box (IoU of their boxes)
        "OKS_THRE": 0.9,  # NMS oks: a person that overlaps a better one by more is dropped
        "NMS_THRE": 1.0,  # NMS box: the same for the IoU of boxes; in the forks' files too, where nothing reads it
        "SOFT_NMS": False,  # lower the scores of overlapping people instead of dropping them; at most 20 an image stay
        "BBOX_THRE": 1.0,  # in the forks' files; read by nothing, there or here
    },
    "DEBUG": {
        "DEBUG": False,  # write the pictures named below every PRINT_FREQ steps
        "SAVE_BATCH_IMAGES_GT": False,  # crops with the annotated skeleton
        "SAVE_BATCH_IMAGES_PRED": False,  # crops with the predicted skeleton
        "SAVE_HEATMAPS_GT": False,  # target heatmaps over the crops
        "SAVE_HEATMAPS_PRED": False,  # predicted heatmaps over the crops
    },
}

# Further data sets of an experiment that adapts to another domain, with DATASET's keys: a section that names any of
# them takes the others from DATASET. Scored is TARGET's test split, where there is a TARGET.
DOMAINS = ("TARGET", "HUMANS")  # what there are no labels for; people that WS-CDA learns from, too
DEFAULTS.update((section, dict(DEFAULTS["DATASET"], DATASET="")) for section in DOMAINS)
DEFAULTS["ADAPT"] = {
    "METHOD": "",  # '': DATASET alone; ccssl, wscda, pplo, mean_teacher; supervised reads TARGET's labels: the bound
    "STRONG_AUGMENTATION": False,  # colour, noise, blur and erased patches on training crops, on the device
    "BEGIN_EPOCH": 0,  # first epoch with pseudo-labels or a teacher
    "LAMBDA": 10.0,  # weight of the loss on TARGET
    "REFRESH_EVERY": 10,  # ccssl, pplo: epochs between predictions of pseudo-labels
    "VIEWS": 8,  # ccssl, pplo: views of a crop that its pseudo-labels are the mean of; the first is the crop itself
    "VIEW_SCALE": 0.25,  # views (and mean_teacher's student): scaled by 1 +- this
    "VIEW_ROTATION": 30.0,  # degrees; turned by up to this
    "RANK_OFFSET": 10.0,  # ccssl: the lowest share p of confidences is left out, p = max(RANK_FLOOR,
    "RANK_STEP": 0.02,  # 1 - RANK_STEP * (epoch + RANK_OFFSET)), epochs counted from BEGIN_EPOCH
    "RANK_FLOOR": 0.2,  # see above
    "TEMPORAL": True,  # ccssl: labels of neighbouring frames, carried over by optical flow, where more confident
    "FLOW_LIMIT": 15.0,  # image px; a keypoint that moves farther from frame to frame is not carried over
    "FLOW_DECAY": 0.9,  # of the confidence, each frame that a label is carried over
    "THRESHOLD_START": 0.9,  # pplo: labels count from this confidence,
    "THRESHOLD_STEP": 0.1,  # less with every prediction of pseudo-labels,
    "THRESHOLD_FLOOR": 0.5,  # down to this
    "EMA": 0.999,  # mean_teacher: share of the teacher that a step keeps
    "RAMPUP_EPOCHS": 5.0,  # mean_teacher: epochs over which LAMBDA rises from BEGIN_EPOCH on
    "ALPHA": -1.0,  # wscda, pplo: weight of the domain loss for the features; ALPHA * BETA < 0
    "BETA": 500.0,  # wscda, pplo: weight of the pose losses
    "W1": 1.0,  # wscda, pplo: weight of telling animals from people
    "W2": 1.0,  # wscda, pplo: weight of the labelled animals beside the people
}

_DECONV_HEAD: dict[str, Any] = {
    "FINAL_CONV_KERNEL": 1,  # side of the last convolution: 1 or 3
    "DECONV_WITH_BIAS": False,  # bias in the transposed convolutions
    "NUM_DECONV_LAYERS": 3,  # transposed convolutions, each doubles the resolution
    "NUM_DECONV_FILTERS": [256, 256, 256],  # their channels
    "NUM_DECONV_KERNELS": [4, 4, 4],  # their kernel sides: 2, 3 or 4
    "NUM_LAYERS": 50,  # layers of the backbone
}


def _stage(modules: int, channels: list[int]) -> dict[str, Any]:
    return {
        "NUM_MODULES": modules,  # exchange units in the stage
        "NUM_BRANCHES": len(channels),  # parallel resolutions
        "BLOCK": "BASIC",  # residual block: BASIC or BOTTLENECK
        "NUM_BLOCKS": [4] * len(channels),  # residual blocks of each branch
        "NUM_CHANNELS": channels,  # channels of each branch
        "FUSE_METHOD": "SUM",  # how branches are joined
    }


MODEL_EXTRA: dict[str, dict[str, Any]] = {
    "pose_resnet": _DECONV_HEAD,  # NUM_LAYERS 18, 34, 50, 101, 152
    "lpn": {
        **_DECONV_HEAD,  # NUM_LAYERS 50, 101, 152
        "NUM_DECONV_LAYERS": 2,
        "NUM_DECONV_FILTERS": [256, 256],
        "NUM_DECONV_KERNELS": [4, 4],
        "ATTENTION": "GC",  # GC, SE or none
    },
    "pose_hrnet": {
        "PRETRAINED_LAYERS": ["*"],  # names of the layers that PRETRAINED fills; '*' for all
        "FINAL_CONV_KERNEL": 1,  # side of the last convolution: 1 or 3
        "LAST_FUSION_EXPANSION": 1,  # channels of the last fusion over those of the first branch; UDP's HRNet has 4
        "STAGE1": {"NUM_BLOCKS": [4], "NUM_CHANNELS": [64]},  # bottlenecks of the stem and their inner channels
        "STAGE2": _stage(1, [32, 64]),
        "STAGE3": _stage(4, [32, 64, 128]),
        "STAGE4": _stage(3, [32, 64, 128, 256]),
    },
    "mspn": {
        "NUM_STAGES": 2,  # stages, one after another; each has heatmaps of its own at four levels
        "NUM_BLOCKS": [3, 4, 6, 3],  # bottlenecks at each level of a stage; ResNet-50's
        "NUM_CHANNELS": [64, 128, 256, 512],  # their inner channels; the first is the stem's too
        "UPSAMPLE_CHANNELS": 256,  # channels on the way up
    },
    "hourglass": {
        "NUM_FEATURES": 256,  # channels of the hourglasses, an even number
        "NUM_STACKS": 8,  # hourglasses, one after another; each has heatmaps of its own
        "NUM_BLOCKS": 1,  # residual blocks at each place of an hourglass
        "STEM_CHANNELS": 64,  # channels of the first convolution, doubled by each of the two blocks after it
    },
    "grmi_resnet": {
        "NUM_LAYERS": 101,  # layers of the backbone: 18, 34, 50, 101, 152
        "OUTPUT_STRIDE": 8,  # input px per heatmap px: 4, 8, 16, 32
        "INTERMEDIATE_LAYER": 0,  # layer whose heatmaps have a loss of their own (G-RMI: 50); 0 for none
        "WIDTH": 64,  # channels of the first stage; the others double them
    },
}
