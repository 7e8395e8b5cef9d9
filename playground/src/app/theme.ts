import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core"

const iris: MantineColorsTuple = [
  "#eef0fc",
  "#dadef6",
  "#b4bcec",
  "#8d99e3",
  "#6c7bdb",
  "#5768d6",
  "#4b5dd0",
  "#3d4fc4",
  "#3445ad",
  "#283896",
]

const dark: MantineColorsTuple = [
  "#e4e6ea",
  "#c3c7ce",
  "#a3a9b3",
  "#6f7682",
  "#3d434d",
  "#2e333c",
  "#23272f",
  "#181b21",
  "#12151a",
  "#0c0e12",
]

const sans =
  '"Inter Variable", "Pretendard", -apple-system, "Apple SD Gothic Neo", "Segoe UI", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", sans-serif'

// A dialog's head is a <header> outside of the page's own parts, and as such would be a second banner.
const NO_BANNER = { header: { role: "presentation" } }

export const theme = createTheme({
  colors: { iris, dark },
  primaryColor: "iris",
  // Shades that carry white text, and text on the page, at a contrast of 4.5 and more.
  primaryShade: { light: 7, dark: 6 },
  fontFamily: sans,
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Code", "Roboto Mono", "D2Coding", "Noto Sans Mono", monospace',
  headings: { fontFamily: sans, fontWeight: "600" },
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Badge: { defaultProps: { tt: "none", fw: 550 } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
    Modal: {
      defaultProps: { centered: true, attributes: NO_BANNER },
      styles: { title: { fontWeight: 600 } },
    },
    Drawer: {
      defaultProps: { attributes: NO_BANNER },
      styles: { title: { fontWeight: 600, overflowWrap: "anywhere" } },
    },
  },
})

// Mantine's quiet greys are too faint to read on our pages for many people (contrast 3.3).
export const readableGreys: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#5b626c",
    "--mantine-color-placeholder": "#6a717c",
    "--mantine-color-error": "#c92a2a",
    "--page-sunken": "#f6f7f9",
    "--page-line": "#e3e6ea",
  },
  dark: {
    "--mantine-color-dimmed": "#a3a9b3",
    "--mantine-color-placeholder": "#959ca7",
    "--mantine-color-error": "#ff8787",
    "--page-sunken": "#12151a",
    "--page-line": "#2a2f38",
  },
})
