#!/bin/sh
# Makes the samples of this folder: make.sh <ffmpeg 5.1> <ffmpeg 9> <ffprobe>.
set -eu
old=$1 new=$2 probe=$3
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, size, rate, pixel format, x264 options
avc() {
    name=$1 size=$2 rate=$3 format=$4
    shift 4
    "$old" -v error -y -f lavfi -i "testsrc=s=$size:r=$rate" -frames:v 12 -pix_fmt "$format" \
        -c:v libx264 "$@" "$work/$name.flv"
    "$old" -v error -y -i "$work/$name.flv" -c copy "$work/$name.h264"
    keep "$name" avcc h264
}

hevc() {
    name=$1 size=$2 rate=$3 format=$4 params=$5
    "$new" -v error -y -f lavfi -i "testsrc=s=$size:r=$rate" -frames:v 12 -pix_fmt "$format" \
        -c:v libx265 -preset ultrafast -x265-params "log-level=error:info=0:$params" "$work/$name.flv"
    "$new" -v error -y -i "$work/$name.flv" -c copy "$work/$name.hevc"
    keep "$name" hvcc hevc
}

# Keeps the decoder configuration record, and what ffprobe reads in the elementary stream.
keep() {
    python3 - "$work/$1.flv" "$1.$2" <<'PY'
import sys
flv = open(sys.argv[1], "rb").read()
at = 9 + 4
while at < len(flv):
    size = int.from_bytes(flv[at + 1:at + 4], "big")
    body = flv[at + 11:at + 11 + size]
    if flv[at] == 9 and (body[0] == 0x17 and body[1] == 0 or body[0] == 0x90):
        open(sys.argv[2], "wb").write(body[5:])
        break
    at += 11 + size + 4
PY
    "$probe" -v error -select_streams v -of default=noprint_wrappers=1 -show_entries \
        stream=codec_name,profile,level,width,height,pix_fmt,has_b_frames,avg_frame_rate,field_order \
        "$work/$1.$3" > "$1.ffprobe"
}

avc avc_baseline_638x358_30 638x358 30 yuv420p -preset ultrafast -profile:v baseline
avc avc_high_1920x1080_2997 1920x1080 30000/1001 yuv420p -preset veryfast -profile:v high
avc avc_main_854x480_25_hrd 854x480 25 yuv420p -profile:v main -bf 2 \
    -x264-params "aud=1:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900:overscan=show:colorprim=bt709"
avc avc_interlaced_1920x1080_25 1920x1080 25 yuv420p -preset veryfast -x264-params interlaced=1:tff=1
avc avc_422_10_642x362_50 642x362 50 yuv422p10le -preset veryfast -x264-params cqm=jvt
avc avc_444_321x241_24 321x241 24 yuv444p -preset veryfast
avc avc_gray_322x242_12 322x242 12 gray -preset veryfast -x264-params sar=12/11
avc avc_sar_720x576_25 720x576 25 yuv420p -preset veryfast -x264-params sar=77/53:chromaloc=2

hevc hevc_main_638x358_30 638x358 30 yuv420p bframes=0
hevc hevc_main10_1280x720_2997 1280x720 30000/1001 yuv420p10le bframes=3
hevc hevc_hrd_1920x1080_25 1920x1080 25 yuv420p \
    hrd=1:vbv-maxrate=2000:vbv-bufsize=2000:open-gop=1:aud=1:temporal-layers=2
hevc hevc_422_10_642x362_50 642x362 50 yuv422p10le range=full:colorprim=bt2020:sar=3:overscan=crop
hevc hevc_444_321x241_24 321x241 24 yuv444p scaling-list=default
hevc hevc_scaling_322x242_15 322x242 15 yuv420p display-window=2,2,2,2:chromaloc=1

# Whole publications: the tags that an encoder sends over RTMP.
source="-f lavfi -i testsrc=s=160x90:r=25 -f lavfi -i sine=r=48000"
$old -v error -y $source -t 0.32 -pix_fmt yuv420p -c:v libx264 -preset veryfast -g 4 \
    -c:a aac -ac 2 -b:a 32k ffmpeg5_avc_aac.flv
$new -v error -y $source -t 0.32 -pix_fmt yuv420p -c:v libx265 -preset ultrafast \
    -x265-params log-level=error:info=0:keyint=4:open-gop=1 -c:a aac -ac 2 -b:a 32k ffmpeg9_hvc1_aac.flv
$new -v error -y $source -t 0.2 -pix_fmt yuv420p -c:v libvpx-vp9 -b:v 40k -c:a libopus -b:a 24k \
    ffmpeg9_vp09_opus.flv
$new -v error -y $source -f lavfi -i sine=r=44100:f=880 -map 0 -map 1 -map 2 -t 0.2 \
    -pix_fmt yuv420p -c:v libx264 -preset veryfast -c:a aac -b:a 24k ffmpeg9_avc_two_audio.flv
$old -v error -y -f lavfi -i sine=r=8000 -t 0.3 -c:a pcm_alaw -ac 1 ffmpeg5_alaw.flv
for name in ffmpeg5_avc_aac ffmpeg9_hvc1_aac ffmpeg9_vp09_opus ffmpeg9_avc_two_audio ffmpeg5_alaw; do
    "$new" -v error -i $name.flv -map 0 -c copy -f framecrc - > $name.framecrc
done
"$old" -v error -y -f lavfi -i testsrc=s=160x90:r=25 -frames:v 12 -pix_fmt yuv420p -c:v libx264 \
    -preset veryfast -bf 0 -x264-params intra-refresh=1:keyint=6 x264_intra_refresh.flv
