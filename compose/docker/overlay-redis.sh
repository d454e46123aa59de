# What compose.redis.yaml needs. Redis keeps 64 MB (redis/redis.conf); its buffers and gaps come on top.

MEMORY_REDIS_MB=${MEMORY_REDIS_MB:-128}
OVERLAY_VALUES="${OVERLAY_VALUES:-} MEMORY_REDIS_MB"
OVERLAY_MEMORY="${OVERLAY_MEMORY:-} MEMORY_REDIS_MB"
OVERLAY_IMAGES="${OVERLAY_IMAGES:-} REDIS_IMAGE"
export MEMORY_REDIS_MB
