# mfv2a with everything that it needs, for a container engine of yours:
#
#     docker build -t mfv2a .
#     docker run --rm -v "$PWD:/work" mfv2a dub videos --out dubbed
#
# A plain build takes PyTorch from wherever pip looks. --build-arg TORCH_INDEX=URL names an index with other builds of it
# (CPU only: small; or those of another CUDA version). Weights of public models are kept in /cache: give it a volume.
FROM python:3.12-slim

ARG TORCH_INDEX=""
COPY pyproject.toml README.md LICENSE NOTICE checkpoints.toml /src/
COPY src /src/src
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} /src \
 && rm -r /src \
 && useradd --create-home --uid 1000 mfv2a \
 && install -d -o mfv2a /cache /work

USER mfv2a
ENV HF_HOME=/cache/huggingface MFV2A_HOME=/cache/mfv2a
VOLUME /cache
WORKDIR /work
# mfv2a is process 1: SIGTERM reaches it, what is being written is finished, and the next run goes on from there.
ENTRYPOINT ["mfv2a"]
