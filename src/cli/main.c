/* main.c: the table of commands, and the way into them. */
#include <string.h>

#include "cli/cli.h"

/* clang-format off */
const command cli_commands[] = {
    {"train", "RECIPE [options]", "train a model by a recipe",
     "RECIPE is a YAML file or the name of a built-in recipe (--list). The run's folder receives "
     "model.safetensors, the best and the last state, history.jsonl and the curves as a picture. "
     "SIGINT and SIGTERM finish the step, save and end; --resume goes on, to the same bits.",
     "soma train digits-cnn\ttrains on the embedded digits\n"
     "soma train mnist-mlp --data DIR --epochs 3\tMNIST from DIR (or DIR/mnist), three epochs\n"
     "soma train my.yaml -s train.optimizer.rate=0.01 -o runs/a\toverrides a key of a recipe\n"
     "soma train iris --folds 5\ttrains five times, each tested on another fifth\n"
     "soma train mnist-cnn --dry-run\twhat it would take\n"
     "soma train mnist-cnn --resume\tgoes on where it was stopped\n",
     "set out data folds seed epochs batch resume force dry-run no-check list", 1, 1, cli_run_train},
    {"check", "RECIPE [options]", "find mistakes in a recipe before its first step",
     "Looks at the model, its data and how it is to be trained, and tells what is wrong or suspect and "
     "how to mend it; takes a second or so, saves nothing. --list names the checks. soma train makes "
     "the quick ones of them as well. Exit codes: 0 nothing to mend, 1 something suspect, 3 faults.",
     "soma check my.yaml\tall checks\n"
     "soma check digits-cnn --set train.optimizer.rate=10\twhat would come of that\n"
     "soma check --list\twhat it looks for\n",
     "set data seed batch list", 1, 1, cli_run_check},
    {"probe", "RECIPE [options]", "try a recipe before a training: rate, one batch, gradients",
     "Three short looks, all of them unless some are named; nothing is saved. --rate raises the "
     "learning rate step by step and tells where the loss falls fastest (Smith 2017). --overfit "
     "learns one batch by heart, which every sound model can. --gradients shows how large the "
     "gradients of each parameter are.",
     "soma probe digits-cnn\tall three\n"
     "soma probe my.yaml --rate --plot rate.png\tthe curve as a picture\n",
     "rate overfit gradients steps plot set data seed batch", 1, 1, cli_run_probe},
    {"eval", "MODEL DATA [options]", "loss, accuracy and confusion matrix on labelled data",
     "DATA is a data set's name (its test part is used), a .csv file, a folder of pictures by class, or "
     "images.idx,labels.idx. A model that translates is also measured by the BLEU of its translations, made with "
     "--beam N beams (default: 1).",
     "soma eval runs/digits-cnn/model.safetensors digits\tthe fixed test part of the digits\n"
     "soma eval model.safetensors flowers.csv --label species\ta table\n",
     "data label batch beam length-penalty", 2, 2, cli_run_eval},
    {"cluster", "MODEL DATA [options]", "group data by what a layer of a model says of it",
     "k-means on the outputs of --layer (names as soma summary has them; else the last layer). DATA "
     "as for soma eval; with labels it also tells how well clusters and labels agree. --out writes "
     "a table of samples and their clusters.",
     "soma cluster runs/digits-autoencoder/model.safetensors digits --layer code\tby the code of an "
     "autoencoder\n",
     "layer clusters out data label seed batch", 2, 2, cli_run_cluster},
    {"predict", "MODEL FILE... [options]", "classify pictures, tables and IDX images",
     "FILE is a PNG or JPEG picture (resized to what the model takes), a .csv file (its label column may be "
     "missing), or an IDX file of images. Prints the most likely classes with their probabilities.",
     "soma predict runs/digits-cnn/model.safetensors digit.png\tone picture\n"
     "soma predict model.safetensors scan.png --invert\tdark writing on light paper\n"
     "soma predict model.safetensors t10k-images-idx3-ubyte.gz --limit 5 --json\tthe first five\n",
     "top limit invert", 2, SOMA__CLI_MAX_ARGUMENTS, cli_run_predict},
    {"summary", "MODEL|RECIPE [options]", "layers, shapes, parameters and flops",
     "Shapes are for one sample; flops are those of one forward pass of one sample.",
     "soma summary digits-cnn\ta built-in recipe\n"
     "soma summary model.safetensors --json\ta model file, for machines\n",
     "set data", 1, 1, cli_run_summary},
    {"profile", "MODEL|RECIPE [options]", "time, flops and bytes of each step of a plan",
     "Runs inference (or with --train the whole training step) and prints each kernel call with its "
     "share of the time and of the peak measured on this machine. The column roof has how many times "
     "longer a step takes than its flops at the peak, or its bytes from memory, would; a step whose data "
     "lies in caches may take less than once.",
     "soma profile mnist-cnn --train --batch 64\ta training step\n"
     "soma profile mnist-cnn --train --by kernel\twhich kernels it spends its time in\n"
     "soma profile mnist-cnn --train --trace step.json\ta picture over time, in Perfetto\n"
     "soma profile model.safetensors --batch 1 --dot plan.dot\tinference, and a picture of the plan\n",
     "set data batch train runs by trace dot", 1, 1, cli_run_profile},
    {"ops", "[NAME] [options]", "the ops of graphs; layers, transforms, losses, optimizers of recipes",
     "Without a name, a line for each; with a name, all that is known of it.",
     "soma ops\tall ops\nsoma ops conv2d\tone\nsoma ops --layers dense\ta layer and its keys\n"
     "soma ops --transforms\twhat can be done to samples as they are read\n"
     "soma ops --losses huber\ta loss that `train.loss` can name\n"
     "soma ops --optimizers adam\tan optimizer, and the keys of all\n"
     "soma ops --schedules\tall schedules of learning rates\n",
     "layers transforms losses optimizers schedules", 0, 1, cli_run_ops},
    {"data", "[show|check|fetch] [NAME|FILE|DIR|RECIPE] [options]", "data sets: where they are, what is in them",
     "Without arguments, lists the known data sets, whether they are found, and where they are looked for. "
     "`show` prints counts, classes and statistics, and with --sheet makes a picture of samples. `check` looks "
     "for samples that cannot be read, duplicates within and across the parts, equal samples with different "
     "labels, empty and rare classes, constant or missing columns, odd sizes; it ends with 3 where something "
     "cannot be trained on. `fetch` downloads mnist, fashion-mnist or cifar10 to --data or the user's cache, "
     "goes on where it was stopped, and checks what it got.",
     "soma data\tall that are known\nsoma data digits\tone, in short\n"
     "soma data show cifar10 --sheet cifar10.png\tstatistics, and ten pictures of each class\n"
     "soma data check flowers.csv --label species\ta table\n"
     "soma data check pictures/ --json\ta folder of pictures by class, for machines\n"
     "soma data fetch mnist\tinto ~/.cache/soma/mnist\n",
     "data label limit sheet url set", 0, 2, cli_run_data},
    {"tokenize", "train|encode|decode|show [TOKENIZER] [FILE...] [options]",
     "text to numbers and back: train a tokeniser, use it",
     "`train` makes a tokeniser from files, each of which is one text, and writes it to --out (default: "
     "tokenizer.json). `encode` prints the ids of each line, `decode` the text of each line of ids, of files or of "
     "standard input. `show` tells what a tokeniser is and, of files, how many tokens they have. TOKENIZER is a "
     "tokenizer.json as HuggingFace has them, or GPT-2's vocab.json,merges.txt. Files may be gzipped.",
     "soma tokenize train book.txt --size 5000 -o book.json\tbyte-level BPE\n"
     "soma tokenize train reviews.txt --kind word --lowercase --min-count 2\twords\n"
     "echo 'Hello world' | soma tokenize encode book.json\tids, a line for each line\n"
     "soma tokenize encode book.json | soma tokenize decode book.json\tand back\n"
     "soma tokenize encode vocab.json,merges.txt a.txt --json\twith the bytes that each token covers\n"
     "soma tokenize show book.json book.txt\tbytes a token, and the share that is unknown\n",
     "out kind size min-count lowercase nfc", 1, SOMA__CLI_MAX_ARGUMENTS, cli_run_tokenize},
    {"generate", "MODEL [options]", "text from a language model, printed as it is made",
     "Goes on after --prompt (default: a line end), token by token; layers keep what later tokens need, "
     "so that each costs one step. Draws by --seed (default: 1), after --repetition-penalty, --temperature, "
     "--top-k, --top-p and --min-p in this order, or searches with --beam. Beyond the context of the model it "
     "goes on from the later half of it.",
     "soma generate runs/shakespeare-gpt-small/model.safetensors --prompt 'ROMEO:' --tokens 300\ta scene\n"
     "soma generate model.safetensors -p 'Once' --temperature 0.8 --top-k 40 --seed 7\tless daring\n"
     "soma generate model.safetensors -p 'Once' --beam 4 --tokens 50\tthe likeliest text\n",
     "prompt tokens temperature top-k top-p min-p repetition-penalty beam length-penalty seed", 1, 1,
     cli_run_generate},
    {"bench", "[NAME] [options]", "speed of this machine and of soma on it",
     "Measures the machine's peak, then ops, training steps, inference and transforms of images, each "
     "as the median of half a second of runs (or of --runs). NAME limits it to the line of this name, "
     "else to those that contain it. --out writes the weights, inputs and results of one line to a "
     "folder, without dropout, for others to compare with (bench/compare.py does).",
     "soma bench\tall\nsoma bench matmul\tmatrix products\nsoma bench mnist-mlp --threads 1\ttwo "
     "training steps\nsoma bench --list\tthe names\n",
     "runs list out", 0, 1, cli_run_bench},
    {"completion", "bash", "print the shell completion", "For bash: source <(soma completion bash).",
     "soma completion bash >/etc/bash_completion.d/soma\tinstalls it\n", "", 1, 1,
     cli_run_completion},
    {"man", "", "print the man page", "In troff, made from the same tables as --help.",
     "soma man | man -l -\treads it\n", "", 0, 0, cli_run_man},
};
/* clang-format on */
const int cli_command_count = (int)(sizeof cli_commands / sizeof cli_commands[0]);

static const command *find(const char *name)
{
    const char *names[sizeof cli_commands / sizeof cli_commands[0]];
    for (int i = 0; i < cli_command_count; i++) {
        names[i] = cli_commands[i].name;
        if (strcmp(name, names[i]) == 0)
            return &cli_commands[i];
    }
    const char *near = soma__nearest(name, names, (size_t)cli_command_count);
    fprintf(stderr, "soma: unknown command '%s'%s%s%s; see soma --help\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* Output that could not be written (a full disk, a closed pipe) is a failure too. */
static int flush(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "soma: writing to standard output failed\n");
    return code == EXIT_CODE_OK ? EXIT_CODE_IO : code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        cli_help(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("soma %s\n", soma_version());
        return flush(EXIT_CODE_OK);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        cli_help(stdout);
        return flush(EXIT_CODE_OK);
    }
    bool help = strcmp(argv[1], "help") == 0;
    const command *cmd = find(argv[help ? 2 : 1]);
    if (!cmd)
        return EXIT_CODE_USAGE;
    arguments args;
    if (!help && !cli_parse(cmd, argc - 2, argv + 2, &args))
        return EXIT_CODE_USAGE;
    if (help || args.help) {
        cli_help_command(stdout, cmd);
        return flush(EXIT_CODE_OK);
    }
    return flush(cmd->run(&args));
}
