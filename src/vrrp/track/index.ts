export {
  startTrackers,
  type TrackConfig,
  type TrackerOptions,
  type Trackers,
  type TrackHost,
  type TrackReport,
  type TrackStatus,
} from './driver.ts';
export { type LinkPollConfig, type PolledNetwork, polledNetwork } from './links.ts';
