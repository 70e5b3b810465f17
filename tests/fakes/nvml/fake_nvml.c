/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1, for tests: the functions that the sampler calls, with the driver's own
 * calling conventions, answering from a text file that the test rewrites while the sampler runs.
 *
 * FAKE_NVML names the text file; it is read again whenever it changes. One fact a line:
 *
 *   driver VERSION                        init CODE               (0: works; else the error of nvmlInit)
 *   gpu INDEX UUID NAME...                set INDEX KEY NUMBER    (keys: see KEYS below; MiB, mW, mJ, degrees, MHz)
 *   process INDEX KIND PID MIB SM GI [CI] (KIND C or G; MIB or SM -1: not told; GI -1: no MIG instance)
 *   holds INDEX PID MIB                   (a process of kind C, listed for as long as it lives)
 *   mig INDEX SLOT GI USED TOTAL UUID PROFILE [CI]   (CI: the compute instance, 0 when left out)
 *   fail FUNCTION INDEX CODE              (INDEX -1: every GPU; FUNCTION field:ID for one value of a batch)
 *   hang FUNCTION INDEX                   (never returns)
 *   abort FUNCTION INDEX                  (the process dies)
 *   xid SERIAL INDEX CODE                 (reported once, in the order of SERIAL)
 *
 * FAKE_NVML_COUNTS names a file of 64 slots of 64 bytes: a function's name (56 bytes) and how often it was called
 * (unsigned, 8 bytes).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MOST_GPUS 16
#define MOST_LINES 256
#define MOST_SLICES 8
#define UNKNOWN_ULL 0xFFFFFFFFFFFFFFFFull
#define MIB (1ull << 20)

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10 };

enum { UTIL, MEM_USED, MEM_TOTAL, MEM_RESERVED, POWER, POWER_LIMIT, ENERGY, TEMPERATURE, MEM_TEMPERATURE, SM_CLOCK,
       MEM_CLOCK, THROTTLE, ECC_C, ECC_U, PCIE_TX, PCIE_RX, NVLINK_TX, NVLINK_RX, MIG_MODE, COUNTER_TYPE, KEY_COUNT };
static const char *KEYS[KEY_COUNT] = {
    "util", "mem_used", "mem_total", "mem_reserved", "power", "power_limit", "energy", "temperature",
    "mem_temperature", "sm_clock", "mem_clock", "throttle", "ecc_c", "ecc_u", "pcie_tx", "pcie_rx", "nvlink_tx",
    "nvlink_rx", "mig_mode", "counter_type"};

typedef struct { int gpu, slot, gi, ci; unsigned long long used, total; char uuid[96], profile[32]; } Slice;
typedef struct { int gpu, pid, sm, gi, ci, while_alive; long long mib; char kind; } Process;
typedef struct { int gpu, code; char function[64]; } Rule;
typedef struct { int serial, gpu, code; } Xid;
typedef struct { int is_slice, index; } Handle;
typedef struct { int exists; char uuid[96], name[96]; unsigned long long values[KEY_COUNT]; } Gpu;

static struct {
    char driver[80];
    int init, gpus, slices, processes, fails, hangs, aborts, xids;
    Gpu gpu[MOST_GPUS];
    Slice slice[MOST_LINES];
    Process process[MOST_LINES];
    Rule fail[MOST_LINES], hang[MOST_LINES], abort_[MOST_LINES];
    Xid xid[MOST_LINES];
} state;

static Handle gpu_handles[MOST_GPUS], slice_handles[MOST_LINES];
static int is_open, last_xid;
static struct timespec read_at;
static ino_t read_inode;

static void parse(char *line) {
    int n = 0, index = 0;
    char word[64], key[64];
    unsigned long long number;
    if (sscanf(line, "%63s %n", word, &n) != 1) return;
    char *rest = line + n;
    rest[strcspn(rest, "\n")] = 0;
    if (!strcmp(word, "driver")) snprintf(state.driver, sizeof state.driver, "%.79s", rest);
    else if (!strcmp(word, "init")) state.init = atoi(rest);
    else if (!strcmp(word, "gpu") && sscanf(rest, "%d %63s %n", &index, key, &n) == 2 && index < MOST_GPUS) {
        Gpu *gpu = &state.gpu[index];
        gpu->exists = 1;
        snprintf(gpu->uuid, sizeof gpu->uuid, "%s", key);
        snprintf(gpu->name, sizeof gpu->name, "%.95s", rest + n);
        if (index >= state.gpus) state.gpus = index + 1;
    } else if (!strcmp(word, "set") && sscanf(rest, "%d %63s %llu", &index, key, &number) == 3 && index < MOST_GPUS) {
        for (int i = 0; i < KEY_COUNT; i++)
            if (!strcmp(key, KEYS[i])) state.gpu[index].values[i] = number;
    } else if (!strcmp(word, "process") && state.processes < MOST_LINES) {
        Process *p = &state.process[state.processes];
        if (sscanf(rest, "%d %c %d %lld %d %d %d", &p->gpu, &p->kind, &p->pid, &p->mib, &p->sm, &p->gi, &p->ci) >= 6)
            state.processes++;
    } else if (!strcmp(word, "holds") && state.processes < MOST_LINES) {
        Process held = {.kind = 'C', .sm = 0, .gi = -1, .while_alive = 1};
        if (sscanf(rest, "%d %d %lld", &held.gpu, &held.pid, &held.mib) == 3) state.process[state.processes++] = held;
    } else if (!strcmp(word, "mig") && state.slices < MOST_LINES) {
        Slice *s = &state.slice[state.slices];
        if (sscanf(rest, "%d %d %d %llu %llu %95s %31s %d", &s->gpu, &s->slot, &s->gi, &s->used, &s->total, s->uuid,
                   s->profile, &s->ci) >= 7)
            state.slices++;
    } else if (!strcmp(word, "fail") && state.fails < MOST_LINES) {
        Rule *r = &state.fail[state.fails];
        if (sscanf(rest, "%63s %d %d", r->function, &r->gpu, &r->code) == 3) state.fails++;
    } else if (!strcmp(word, "hang") && state.hangs < MOST_LINES) {
        Rule *r = &state.hang[state.hangs];
        if (sscanf(rest, "%63s %d", r->function, &r->gpu) == 2) state.hangs++;
    } else if (!strcmp(word, "abort") && state.aborts < MOST_LINES) {
        Rule *r = &state.abort_[state.aborts];
        if (sscanf(rest, "%63s %d", r->function, &r->gpu) == 2) state.aborts++;
    } else if (!strcmp(word, "xid") && state.xids < MOST_LINES) {
        Xid *x = &state.xid[state.xids];
        if (sscanf(rest, "%d %d %d", &x->serial, &x->gpu, &x->code) == 3) state.xids++;
    }
}

static void refresh(void) {
    const char *path = getenv("FAKE_NVML");
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (now.st_ino == read_inode && now.st_mtim.tv_sec == read_at.tv_sec && now.st_mtim.tv_nsec == read_at.tv_nsec)
        return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    char line[512];
    memset(&state, 0, sizeof state);
    while (fgets(line, sizeof line, file)) parse(line);
    fclose(file);
    read_at = now.st_mtim;
    read_inode = now.st_ino;
}

static void count(const char *function) {
    static struct { char name[56]; uint64_t calls; } *slots;
    const char *path = getenv("FAKE_NVML_COUNTS");
    if (!path) return;
    if (!slots) {
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || ftruncate(fd, 64 * 64)) return;
        slots = mmap(NULL, 64 * 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (slots == MAP_FAILED) { slots = NULL; return; }
    }
    for (int i = 0; i < 64; i++) {
        if (!slots[i].name[0]) snprintf(slots[i].name, sizeof slots[i].name, "%s", function);
        if (!strncmp(slots[i].name, function, sizeof slots[i].name - 1)) { slots[i].calls++; return; }
    }
}

static int matches(const Rule *rules, int count_, const char *function, int gpu) {
    for (int i = 0; i < count_; i++)
        if ((!strcmp(rules[i].function, function) || !strcmp(rules[i].function, "*")) &&
            (rules[i].gpu == -1 || rules[i].gpu == gpu))
            return i;
    return -1;
}

static int enter(const char *function, int gpu) {
    count(function);
    refresh();
    if (matches(state.hang, state.hangs, function, gpu) >= 0) for (;;) pause();
    if (matches(state.abort_, state.aborts, function, gpu) >= 0) abort();
    int found = matches(state.fail, state.fails, function, gpu);
    if (found >= 0) return state.fail[found].code;
    return is_open || !strncmp(function, "nvmlInit", 8) ? SUCCESS : UNINITIALIZED;
}

static int index_of(const Handle *handle) {
    if (!handle) return -2;
    return handle->is_slice ? state.slice[handle->index].gpu : handle->index;
}

static Gpu *gpu_of(const Handle *handle) {
    return &state.gpu[handle->is_slice ? state.slice[handle->index].gpu : handle->index];
}

#define ENTER(handle)                                                        \
    do {                                                                     \
        int refused = enter(__func__, index_of(handle));                     \
        if (refused) return refused;                                         \
    } while (0)
#define NUMBER(handle, key) (gpu_of(handle)->values[key])

EXPORT int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int refused = enter(__func__, -2);
    if (refused) return refused;
    if (state.init) return state.init;
    is_open = 1;
    return SUCCESS;
}

EXPORT int nvmlShutdown(void) { is_open = 0; return SUCCESS; }

EXPORT const char *nvmlErrorString(int code) { (void)code; return "an error of the fake driver"; }

EXPORT int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    ENTER(NULL);
    snprintf(version, length, "%s", state.driver);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *total) {
    ENTER(NULL);
    *total = (unsigned)state.gpus;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle **handle) {
    int refused = enter(__func__, (int)index);
    if (refused) return refused;
    if (index >= MOST_GPUS || !state.gpu[index].exists) return INVALID_ARGUMENT;
    gpu_handles[index].index = (int)index;
    *handle = &gpu_handles[index];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, Handle **handle) {
    for (int i = 0; i < MOST_GPUS; i++)
        if (state.gpu[i].exists && !strcmp(state.gpu[i].uuid, uuid)) {
            int refused = enter(__func__, i);
            if (refused) return refused;
            gpu_handles[i].index = i;
            *handle = &gpu_handles[i];
            return SUCCESS;
        }
    int refused = enter(__func__, -2);
    return refused ? refused : NOT_FOUND;
}

EXPORT int nvmlDeviceGetUUID(Handle *handle, char *uuid, unsigned length) {
    ENTER(handle);
    snprintf(uuid, length, "%s", handle->is_slice ? state.slice[handle->index].uuid : gpu_of(handle)->uuid);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetName(Handle *handle, char *name, unsigned length) {
    ENTER(handle);
    if (handle->is_slice)
        snprintf(name, length, "%s MIG %s", gpu_of(handle)->name, state.slice[handle->index].profile);
    else
        snprintf(name, length, "%s", gpu_of(handle)->name);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetUtilizationRates(Handle *handle, unsigned rates[2]) {
    ENTER(handle);
    if (NUMBER(handle, MIG_MODE)) return NOT_SUPPORTED;
    rates[0] = (unsigned)NUMBER(handle, UTIL);
    rates[1] = 0;
    return SUCCESS;
}

static void memory(Handle *handle, unsigned long long *total, unsigned long long *used) {
    *total = (handle->is_slice ? state.slice[handle->index].total : NUMBER(handle, MEM_TOTAL)) * MIB;
    *used = (handle->is_slice ? state.slice[handle->index].used : NUMBER(handle, MEM_USED)) * MIB;
}

EXPORT int nvmlDeviceGetMemoryInfo(Handle *handle, unsigned long long numbers[3]) {
    ENTER(handle);
    unsigned long long used;
    memory(handle, &numbers[0], &used);
    numbers[2] = used + NUMBER(handle, MEM_RESERVED) * MIB;
    numbers[1] = numbers[0] - numbers[2];
    return SUCCESS;
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory2;

EXPORT int nvmlDeviceGetMemoryInfo_v2(Handle *handle, Memory2 *info) {
    ENTER(handle);
    if (info->version != (sizeof(Memory2) | 2u << 24)) return 25;
    memory(handle, &info->total, &info->used);
    info->reserved = NUMBER(handle, MEM_RESERVED) * MIB;
    info->free = info->total - info->reserved - info->used;
    return SUCCESS;
}

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency_us;
    uint32_t type, code;
    union { double d; unsigned u; unsigned long long ull; } value;
} FieldValue;

static int field_key(unsigned field) {
    switch (field) {
    case 186: return POWER;
    case 83: return ENERGY;
    case 197: return PCIE_TX;
    case 198: return PCIE_RX;
    case 138: return NVLINK_TX;
    case 139: return NVLINK_RX;
    case 82: return MEM_TEMPERATURE;
    case 3: return ECC_C;
    case 4: return ECC_U;
    default: return -1;
    }
}

EXPORT int nvmlDeviceGetFieldValues(Handle *handle, int total, FieldValue *values) {
    ENTER(handle);
    for (int i = 0; i < total; i++) {
        char name[32];
        int key = field_key(values[i].field);
        snprintf(name, sizeof name, "field:%u", values[i].field);
        int found = matches(state.fail, state.fails, name, index_of(handle));
        values[i].code = found >= 0 ? (unsigned)state.fail[found].code : key < 0 ? INVALID_ARGUMENT : SUCCESS;
        if (values[i].code) continue;
        if ((key == NVLINK_TX || key == NVLINK_RX) && values[i].scope != 0xFFFFFFFFu) {
            values[i].code = INVALID_ARGUMENT;
            continue;
        }
        int is_narrow = key == POWER || key == MEM_TEMPERATURE ||
                        (NUMBER(handle, COUNTER_TYPE) == 1 && (key == PCIE_TX || key == PCIE_RX));
        values[i].value.ull = 0;
        values[i].type = is_narrow ? 1 : 3;
        if (is_narrow) values[i].value.u = (unsigned)NUMBER(handle, key);
        else values[i].value.ull = NUMBER(handle, key);
    }
    return SUCCESS;
}

#define SIMPLE(function, type, key)                         \
    EXPORT int function(Handle *handle, type *value) {      \
        ENTER(handle);                                      \
        *value = (type)NUMBER(handle, key);                 \
        return SUCCESS;                                     \
    }
SIMPLE(nvmlDeviceGetPowerUsage, unsigned, POWER)
SIMPLE(nvmlDeviceGetEnforcedPowerLimit, unsigned, POWER_LIMIT)
SIMPLE(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, THROTTLE)
SIMPLE(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, THROTTLE)

EXPORT int nvmlDeviceGetTemperature(Handle *handle, unsigned sensor, unsigned *value) {
    ENTER(handle);
    (void)sensor;
    *value = (unsigned)NUMBER(handle, TEMPERATURE);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetClockInfo(Handle *handle, unsigned clock, unsigned *value) {
    ENTER(handle);
    *value = (unsigned)NUMBER(handle, clock == 1 ? SM_CLOCK : MEM_CLOCK);
    return SUCCESS;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } ProcessInfo;

static int is_alive(int pid) {
    char path[64], status = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int found = fscanf(file, "%*d (%*[^)]) %c", &status);
    fclose(file);
    return found == 1 && status != 'Z' && status != 'X';
}

static int list(Handle *handle, char kind, unsigned *total, ProcessInfo *infos) {
    unsigned found = 0, room = *total;
    for (int i = 0; i < state.processes; i++) {
        Process *p = &state.process[i];
        if (p->gpu != index_of(handle) || p->kind != kind) continue;
        if (p->while_alive && !is_alive(p->pid)) continue;
        if (handle->is_slice && (p->gi != state.slice[handle->index].gi || p->ci != state.slice[handle->index].ci)) continue;
        if (infos && found < room) {
            infos[found].pid = (unsigned)p->pid;
            infos[found].memory = p->mib < 0 ? UNKNOWN_ULL : (unsigned long long)p->mib * MIB;
            infos[found].gi = (unsigned)p->gi;
            infos[found].ci = p->gi < 0 ? 0xFFFFFFFFu : (unsigned)p->ci;
        }
        found++;
    }
    *total = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(Handle *handle, unsigned *total, ProcessInfo *infos) {
    int refused = enter(handle->is_slice ? "slice:nvmlDeviceGetComputeRunningProcesses_v3" : __func__, index_of(handle));
    return refused ? refused : list(handle, 'C', total, infos);
}

EXPORT int nvmlDeviceGetGraphicsRunningProcesses_v3(Handle *handle, unsigned *total, ProcessInfo *infos) {
    ENTER(handle);
    return list(handle, 'G', total, infos);
}

typedef struct { unsigned pid; unsigned long long at_us; unsigned sm, memory, encoder, decoder; } Sample;

EXPORT int nvmlDeviceGetProcessUtilization(Handle *handle, Sample *samples, unsigned *total, unsigned long long since) {
    ENTER(handle);
    if (NUMBER(handle, MIG_MODE)) return NOT_SUPPORTED;
    unsigned found = 0, room = *total;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < state.processes; i++) {
        Process *p = &state.process[i];
        if (p->gpu != index_of(handle) || p->sm <= 0) continue;
        if (samples && found < room) {
            memset(&samples[found], 0, sizeof samples[found]);
            samples[found].pid = (unsigned)p->pid;
            samples[found].sm = (unsigned)p->sm;
            samples[found].at_us = (unsigned long long)now.tv_sec * 1000000ull + (unsigned long long)now.tv_nsec / 1000;
        }
        found++;
    }
    (void)since;
    *total = found;
    if (!found) return NOT_FOUND;
    return samples && found <= room ? SUCCESS : INSUFFICIENT_SIZE;
}

EXPORT int nvmlDeviceGetMigMode(Handle *handle, unsigned *current, unsigned *pending) {
    ENTER(handle);
    *current = *pending = (unsigned)NUMBER(handle, MIG_MODE);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(Handle *handle, unsigned *total) {
    ENTER(handle);
    *total = MOST_SLICES - 1;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(Handle *handle, unsigned slot, Handle **found) {
    ENTER(handle);
    for (int i = 0; i < state.slices; i++)
        if (state.slice[i].gpu == handle->index && state.slice[i].slot == (int)slot) {
            slice_handles[i].is_slice = 1;
            slice_handles[i].index = i;
            *found = &slice_handles[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

EXPORT int nvmlDeviceGetGpuInstanceId(Handle *handle, unsigned *id) {
    ENTER(handle);
    if (!handle->is_slice) return INVALID_ARGUMENT;
    *id = (unsigned)state.slice[handle->index].gi;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetComputeInstanceId(Handle *handle, unsigned *id) {
    ENTER(handle);
    if (!handle->is_slice) return INVALID_ARGUMENT;
    *id = (unsigned)state.slice[handle->index].ci;
    return SUCCESS;
}

EXPORT int nvmlEventSetCreate(void **set) { ENTER(NULL); *set = &last_xid; return SUCCESS; }
EXPORT int nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }

EXPORT int nvmlDeviceRegisterEvents(Handle *handle, unsigned long long types, void *set) {
    (void)types; (void)set;
    ENTER(handle);
    return SUCCESS;
}

typedef struct { Handle *device; unsigned long long type, data; unsigned gi, ci; } Event;

EXPORT int nvmlEventSetWait_v2(void *set, Event *event, unsigned timeout_ms) {
    (void)set; (void)timeout_ms;
    ENTER(NULL);
    for (int i = 0; i < state.xids; i++)
        if (state.xid[i].serial > last_xid) {
            last_xid = state.xid[i].serial;
            event->device = &gpu_handles[state.xid[i].gpu];
            event->type = 8;
            event->data = (unsigned long long)state.xid[i].code;
            event->gi = event->ci = 0xFFFFFFFFu;
            return SUCCESS;
        }
    return TIMEOUT;
}
