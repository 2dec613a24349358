/**
 * The landscape at the top of the page: sky, cumulus, hills, a village. Drawn here instead of
 * loaded, so that it weighs three kilobytes, is sharp everywhere and has a night.
 */

type Circle = readonly [x: number, y: number, r: number];

const CUMULUS: readonly Circle[] = [
  [150, 250, 62], [205, 205, 70], [262, 150, 64], [318, 108, 58], [372, 150, 70],
  [420, 92, 46], [452, 170, 74], [520, 214, 66], [588, 250, 58], [660, 268, 42],
  [90, 272, 44], [330, 220, 110], [230, 260, 90], [450, 258, 96],
];
const BANK: readonly Circle[] = [
  [1040, 268, 46], [1100, 236, 54], [1160, 204, 56], [1226, 226, 60], [1292, 186, 48],
  [1340, 232, 58], [1412, 252, 50], [1480, 268, 40], [1200, 262, 70], [1330, 268, 66],
];
const WISPS: readonly (readonly [x: number, y: number, rx: number, ry: number])[] = [
  [880, 96, 84, 13], [940, 84, 60, 11], [820, 104, 50, 8], [1330, 74, 96, 11], [1400, 64, 52, 9],
  [80, 78, 70, 9], [620, 52, 66, 8],
];
/** None of them behind words, where a star looks like a full stop. */
const STARS: readonly Circle[] = [
  [120, 60, 1.6], [240, 40, 1.1], [420, 36, 1.5], [520, 84, 1.2], [690, 76, 1.5], [905, 82, 1.2],
  [1120, 46, 1.2], [1230, 50, 1.4], [1300, 130, 1], [1400, 44, 1.7], [1500, 96, 1.3],
  [1560, 40, 1.1], [40, 140, 1.2], [1568, 170, 1.4], [330, 80, 1], [1440, 150, 1.1],
];
/** Where houses stand: x, y of the ground, and scale. */
const HOUSES: readonly Circle[] = [
  [1098, 352, 0.62], [1146, 346, 0.78], [1206, 350, 0.66], [1252, 341, 0.92], [1322, 348, 0.7],
];
const TREES: readonly Circle[] = [
  [1062, 356, 15], [1180, 350, 12], [1296, 346, 17], [1364, 352, 20], [1388, 356, 14],
  [300, 382, 22], [334, 388, 15], [772, 372, 13], [792, 374, 9],
];

export function Scene() {
  return (
    <div className="scene" aria-hidden="true">
      <svg viewBox="0 0 1600 520" preserveAspectRatio="xMidYMax slice">
        <Brushes />
        <rect className="sky" width="1600" height="520" fill="url(#sky)" />
        <g className="stars">
          {STARS.map(([x, y, r]) => (
            <circle key={x} cx={x} cy={y} r={r} />
          ))}
        </g>
        <circle className="moon" cx="1180" cy="92" r="34" />
        <g className="wisps" filter="url(#edge)">
          {WISPS.map(([x, y, rx, ry]) => (
            <ellipse key={x} cx={x} cy={y} rx={rx} ry={ry} />
          ))}
        </g>
        <Cloud circles={BANK} />
        <Cloud circles={CUMULUS} />
        <Hills />
        <g className="birds">
          <path d="M1076 66q9-9 17 0q9-9 18 0M1140 92q7-7 13 0q7-7 14 0M1190 60q6-6 11 0q6-6 12 0" />
        </g>
        <rect className="grain" width="1600" height="520" filter="url(#grain)" />
        <path
          className="paper-edge"
          filter="url(#edge)"
          d="M-40 486c140-22 240 8 380-4s210-26 350-10 250 14 390-2 300-22 560 6v80H-40z"
        />
      </svg>
    </div>
  );
}

/** Edges that wander, and the grain of paper under gouache. */
function Brushes() {
  return (
    <defs>
      <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
        <stop className="sky-top" offset="0" />
        <stop className="sky-middle" offset="0.45" />
        <stop className="sky-low" offset="0.8" />
      </linearGradient>
      <linearGradient id="cloud" gradientUnits="userSpaceOnUse" x1="0" y1="90" x2="70" y2="330">
        <stop className="cloud-top" offset="0.3" />
        <stop className="cloud-low" offset="0.95" />
      </linearGradient>
      <filter id="edge" colorInterpolationFilters="sRGB" x="-5%" y="-10%" width="110%" height="120%">
        <feTurbulence type="fractalNoise" baseFrequency="0.022" numOctaves="4" seed="7" />
        <feDisplacementMap in="SourceGraphic" scale="24" xChannelSelector="R" yChannelSelector="G" />
      </filter>
      <filter id="soft" colorInterpolationFilters="sRGB" x="-10%" y="-10%" width="120%" height="120%">
        <feTurbulence type="fractalNoise" baseFrequency="0.03" numOctaves="4" seed="3" />
        <feDisplacementMap in="SourceGraphic" scale="26" xChannelSelector="R" yChannelSelector="G" />
        <feGaussianBlur stdDeviation="1.1" />
      </filter>
      <filter id="grain" colorInterpolationFilters="sRGB" x="0" y="0" width="100%" height="100%">
        <feTurbulence type="fractalNoise" baseFrequency="0.7 0.55" numOctaves="2" seed="11" />
        <feColorMatrix values="0 0 0 0 0.35  0 0 0 0 0.3  0 0 0 0 0.25  0 0 0 -0.9 0.62" />
      </filter>
    </defs>
  );
}

function Cloud({ circles }: { circles: readonly Circle[] }) {
  return (
    <g className="cloud" filter="url(#soft)">
      {circles.map(([x, y, r]) => (
        <circle key={`shade ${x}`} className="cloud-shade" cx={x + 9} cy={y + 10} r={r} />
      ))}
      {circles.map(([x, y, r]) => (
        <circle key={`body ${x}`} fill="url(#cloud)" cx={x - 3} cy={y - 3} r={r * 0.94} />
      ))}
      {circles.map(([x, y, r]) => (
        <circle key={`light ${x}`} className="cloud-light" cx={x - r * 0.14} cy={y - r * 0.24} r={r * 0.68} />
      ))}
    </g>
  );
}

function Hills() {
  return (
    <>
      <path
        className="hill-4"
        filter="url(#edge)"
        d="M-20 330c90-40 150-20 240-34s160-46 250-22 190 30 300 14 200-52 330-30 300 44 520-4v280H-20z"
      />
      <path
        className="hill-3"
        filter="url(#edge)"
        d="M-20 372c160-46 300-30 440-16s240-26 380-22 250 34 360 6 280-34 460 4v200H-20z"
      />
      {HOUSES.map(([x, y, scale]) => (
        <g key={x} className="house" transform={`translate(${x} ${y}) scale(${scale})`}>
          <path className="wall" d="M-22-26h44v28h-44z" />
          <path className="roof" d="m-30-24 14-24h34l14 24z" />
          <path className="window" d="M-14-17h8v9h-8zm18 0h8v9H4z" />
        </g>
      ))}
      <g filter="url(#edge)">
        {TREES.map(([x, y, r]) => (
          <g key={x} className="tree">
            <circle cx={x} cy={y - r} r={r} />
            <circle className="tree-light" cx={x - r * 0.3} cy={y - r * 1.35} r={r * 0.55} />
          </g>
        ))}
      </g>
      <path
        className="hill-2"
        filter="url(#edge)"
        d="M-20 402c180-34 330 20 520 8s300-46 500-34 330 40 620-6v180H-20z"
      />
      <path
        className="hill-1"
        filter="url(#edge)"
        d="M-20 452c220-52 420-14 600-10s360-40 560-20 300 26 480 2v120H-20z"
      />
    </>
  );
}
